"""The processes of a run: stage workers, gateways and the broker, each of which is started again when it ends."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.partitioner import DefaultPartitioner

from ops.admin import admin_client, create_topics
from ops.broker.process import LocalBroker
from ops.ports import free_port
from pipeline.settings import Settings
from tests.chaos.log import STAGES
from tests.chaos.schedule import STAGES as NAMES
from tests.workers import Worker
from topics.catalog import Lane, group_of

PARTITIONS = 4
WORKERS, MOST = 2, 3  # of each stage: as a rule, and while it is scaled up
GATEWAYS = 2
LOOK_UP_WITHIN = 1.5  # seconds


class Slot:
    """A place for one process, such as `answers-1`; its data folder stays when the process is replaced."""

    def __init__(self, name: str, settings: Settings, words: tuple[str, ...], environ: Mapping[str, str]) -> None:
        self.name, self.settings, self.words, self.environ = name, settings, words, environ
        self.worker: Worker | None = None
        self.is_wanted = self.is_frozen = self.was_ended = False
        self.due = 0.0  # when it may be started again
        self.exits: list[int] = []  # codes of ends that we did not cause
        settings.data_path.mkdir(parents=True, exist_ok=True)

    @property
    def stage(self) -> str:
        """What the name says before its number."""
        return self.name.partition("-")[0]

    @property
    def is_up(self) -> bool:
        """Whether it runs and has done its first work."""
        if self.worker is None or self.worker.process.poll() is not None or self.is_frozen:
            return False
        return self.stage == "gateway" or b"opened" in self.worker.log.read_bytes()

    def signal(self, number: signal.Signals, down: float = 0.0) -> None:
        """Send a signal; one that ends the process also says when it may be started again."""
        if self.worker is None or self.worker.process.poll() is not None:
            return
        if number in (signal.SIGKILL, signal.SIGTERM):
            self.was_ended, self.due = True, time.monotonic() + down
        self.worker.signal(number)

    def start(self) -> None:
        """Start the process."""
        self.was_ended = False
        self.worker = Worker(self.settings, *self.words, environ=self.environ)

    def revive(self) -> None:
        """Start the process again when it has ended and its time has come."""
        code = self.worker.process.poll() if self.worker else 0
        if code is None or not self.is_wanted:
            return
        if self.worker and not self.was_ended:
            self.exits.append(code)
            self.was_ended, self.due = True, time.monotonic() + 0.5
        if time.monotonic() >= self.due:
            self.start()

    async def gone(self, seconds: float = 40.0) -> None:
        """Wait for its end."""
        if self.worker is not None:
            await asyncio.to_thread(self.worker.process.wait, seconds)


class Cluster:
    """All slots, those of so many workers of each stage on the settings' lane, and the broker under them."""

    def __init__(
        self,
        settings: Settings,
        broker: LocalBroker,
        environ: Mapping[str, str],
        stages: Sequence[str] = NAMES,
        workers: int = WORKERS,
    ) -> None:
        self.settings, self.broker = settings, broker
        self.slots: dict[str, Slot] = {}
        for stage in stages:
            for number in range(MOST):
                self._add(f"{stage}-{number}", ("worker", stage), environ, wanted=number < workers)
        for number in range(GATEWAYS):
            self._add(f"gateway-{number}", ("gateway",), {}, wanted=True)

    def _add(self, name: str, words: tuple[str, ...], environ: Mapping[str, str], *, wanted: bool) -> None:
        mine = dataclasses.replace(self.settings, data_path=self.settings.data_path / name, port=0)
        if words == ("gateway",):
            mine = dataclasses.replace(mine, port=free_port(), lane=Lane.LIVE)
        self.slots[name] = Slot(name, mine, words, environ)
        self.slots[name].is_wanted = wanted

    def of(self, stage: str) -> list[Slot]:
        """The slots of a stage, or of the gateways."""
        return [slot for slot in self.slots.values() if slot.stage == stage]

    def starting(self) -> int:
        """How many that should run do not work yet."""
        return sum(slot.is_wanted and not slot.is_frozen and not slot.is_up for slot in self.slots.values())

    def gateways(self) -> dict[str, int]:
        """Their names and ports."""
        return {slot.name: slot.settings.port for slot in self.of("gateway")}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Topics made, everything started, and started again for as long as this lasts."""
        await make_topics(self.settings)
        reviving = asyncio.create_task(self._revive())
        try:
            yield
        finally:
            reviving.cancel()
            for slot in self.slots.values():
                if slot.worker is not None:
                    slot.worker.signal(signal.SIGCONT)
                    slot.worker.kill()

    async def _revive(self) -> None:
        while True:
            for slot in self.slots.values():
                slot.revive()
            await asyncio.sleep(0.1)

    async def partitions_of(self, slot: Slot) -> list[int]:
        """Which partitions the group has given to a worker; none where nobody can say."""
        files = list((slot.settings.data_path / "members").glob("*"))
        member = files[0].read_text().strip() if files else ""
        looking = asyncio.create_task(self._members(slot))
        await asyncio.wait({looking}, timeout=LOOK_UP_WITHIN)
        looking.cancel()
        (members,) = await asyncio.gather(looking, return_exceptions=True)
        if isinstance(members, BaseException) or not members.get(member):
            return []
        given = ConsumerProtocolMemberAssignment.decode(members[member]).assignment
        return [number for name, numbers in given if name == self._input(slot) for number in numbers]

    async def _members(self, slot: Slot) -> dict[str, bytes]:
        """Assignments in the group of a worker, by member id."""
        admin = AIOKafkaAdminClient(**self.settings.kafka_client())
        group = group_of(slot.stage, self.settings.lane, self.settings.topic_prefix)
        try:
            await admin.start()
            (described,) = await admin.describe_consumer_groups([group])
        finally:
            await admin.close()
        members = described.to_object()["groups"][0]["members"]
        return {member["member_id"]: member["member_assignment"] for member in members}

    def partition_of(self, session: str) -> int:
        """Where a session's records stand."""
        every = list(range(PARTITIONS))
        return int(DefaultPartitioner()(session.encode(), every, every))

    def _input(self, slot: Slot) -> str:
        return f"{self.settings.topic_prefix}.{STAGES[slot.stage]}.v1"

    async def until_fed(self, slot: Slot, partitions: list[int], seconds: float = 5.0) -> None:
        """Wait until something more comes to these partitions of a worker's input, or the time is up."""
        looking = asyncio.create_task(self._until_more(slot, partitions))
        await asyncio.wait({looking}, timeout=seconds)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)  # aiokafka may end by a cancellation of its own

    async def _until_more(self, slot: Slot, partitions: list[int]) -> None:
        places = [TopicPartition(self._input(slot), number) for number in partitions]
        async with AIOKafkaConsumer(**self.settings.kafka_client()) as reader:
            before = await reader.end_offsets(places)
            while places and await reader.end_offsets(places) == before:
                await asyncio.sleep(0.02)


async def make_topics(settings: Settings) -> None:
    """Our topics; the broker dates the records of all but the first, so that they can be told from commits by time."""
    names = [f"{settings.topic_prefix}.{noun}{lane}.v1" for noun in NAMES for lane in ("", ".bulk")]
    dated = {"message.timestamp.type": "LogAppendTime", "cleanup.policy": "delete"}
    async with admin_client(settings) as admin:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs=dated) for name in names])
    await create_topics(settings, partitions=PARTITIONS)
