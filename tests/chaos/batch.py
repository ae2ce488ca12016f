"""A run of one batch: the bulk lane, a customer, and SIGKILLs at drawn parts of the work of each step."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from ops.broker.process import LocalBroker
from pipeline.settings import Settings
from tests.chaos.cluster import PARTITIONS, WORKERS, Cluster, Slot
from tests.chaos.customer import Customer
from tests.chaos.evidence import Evidence
from tests.chaos.faults import Chaos
from tests.chaos.provider import SteadyProvider, provider_with
from tests.chaos.run import READY_WITHIN, Outcome, concluded
from tests.chaos.schedule import STAGES, Moment, draw_batch
from topics.catalog import Lane

PREFIX = "batch"
LOOK = 0.01  # seconds between two looks at how far the batch is


def texts_of(items: int) -> list[str]:
    """What a batch of so many items asks."""
    return [f"What is number {index}?" for index in range(items)]


class Parts:
    """How much of a batch each step has done, 0 to 1."""

    def __init__(self, customer: Customer, provider: SteadyProvider, settings: Settings) -> None:
        self._customer, self._provider, self._items = customer, provider, len(customer.texts)
        self._settings = settings
        self._written = dict.fromkeys(("transcripts", "sentences", "questions"), 0)

    def of(self, target: str) -> float:
        """Where a target of the schedule works."""
        asked = len({request.question for request in self._provider.requests})
        done = {"answers": asked, "broker": asked, "results": self._customer.done, "gateway": self._customer.done}
        return (done | self._written | {"texts": self._written["transcripts"]})[target] / self._items

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Look at the ends of the topics all the while."""
        async with AIOKafkaConsumer(**self._settings.kafka_client()) as consumer:
            looking = asyncio.create_task(self._follow(consumer))
            try:
                yield
            finally:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        names = {f"{PREFIX}.{noun}.bulk.v1": noun for noun in self._written}
        places = [TopicPartition(name, number) for name in names for number in range(PARTITIONS)]
        while True:
            with suppress(KafkaError):  # the broker may be away
                ends = await consumer.end_offsets(places)
                for name, noun in names.items():
                    self._written[noun] = sum(end for place, end in ends.items() if place.topic == name)
            await asyncio.sleep(LOOK)


class BatchChaos(Chaos):
    """Kills what its moments name, each when its step has come so far."""

    def __init__(self, cluster: Cluster, customer: Customer, parts: Parts, tell: Callable[[str], None]) -> None:
        super().__init__(cluster, [])
        self.customer, self.parts, self.tell = customer, parts, tell
        self.is_over = False
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def kill(self, moment: Moment) -> None:
        """Wait for a moment, and kill; without the moment when all is over before."""
        while self.parts.of(moment.target) < moment.part:
            if self.is_over:
                return
            await asyncio.sleep(LOOK)
        async with self._turns[moment.target]:  # who is dead cannot be killed once more
            await self._kill(moment)

    async def _kill(self, moment: Moment) -> None:
        self.tell(f"{moment.target} dies at {moment.part:.0%}")
        if moment.target == "broker":
            await self.kill_broker(moment)
            return
        slot = await self._doomed(moment)
        self._note("kill_gateway" if slot.stage == "gateway" else "kill_worker", slot.name)
        slot.signal(signal.SIGKILL, moment.down)
        await slot.gone()

    async def _doomed(self, moment: Moment) -> Slot:
        if moment.target == "texts":
            return self.cluster.slots[self.customer.gateway]
        return await self._victim(moment.target, moment.slot)


async def run_batch(
    seed: int,
    items: int,
    kills: int,
    broker: LocalBroker,
    folder: Path,
    tell: Callable[[str], None],
    workers: int = WORKERS,
) -> Outcome:
    """A batch of so many items on a started broker that nobody else uses, with so many workers a stage and SIGKILLs.

    Logs of the processes and the evidence go into the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = Settings(
        kafka_bootstrap_servers=broker.bootstrap_servers,
        topic_prefix=PREFIX,
        data_path=folder,
        batch_storage_path=folder / "batch",
        lane=Lane.BULK,
    )
    began, evidence, steady = time.monotonic(), Evidence(), SteadyProvider(seed)
    async with provider_with(steady) as provider:
        cluster = Cluster(settings, broker, provider.environ, (*STAGES, "results"), workers)
        async with cluster.running():
            async with asyncio.timeout(READY_WITHIN):
                while cluster.starting():
                    await asyncio.sleep(LOOK)
            tell(f"ready after {time.monotonic() - began:.0f} s")
            customer = Customer(texts_of(items), random.Random(f"{seed} customer"), cluster.gateways, f"batch {seed}")
            chaos = BatchChaos(cluster, customer, Parts(customer, steady, settings), tell)
            await _live_through(draw_batch(seed, kills), chaos, evidence)
        evidence.calls = steady.calls()
    return await concluded(cluster, evidence, {"submissions": customer.submissions}, ".bulk")


async def _live_through(moments: Sequence[Moment], chaos: BatchChaos, evidence: Evidence) -> None:
    customer = chaos.customer
    try:
        async with chaos.parts.followed(), asyncio.TaskGroup() as group:
            for moment in moments:
                group.create_task(chaos.kill(moment))
            await customer.see_through()
            chaos.is_over = True
    finally:
        evidence.events, evidence.faults = customer.events, chaos.done
        evidence.save(chaos.cluster.settings.data_path / "evidence")  # also of a run that breaks off
