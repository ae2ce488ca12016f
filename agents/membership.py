"""Group membership under Faust: what the group grants us, commits in the name of a grant, a dead predecessor.

The private names of Faust's consumer thread and of aiokafka's coordinator that we lean on stand here.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
from collections import defaultdict
from collections.abc import Coroutine, Iterable, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from aiokafka import errors
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import LeaveGroupRequest
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

log = logging.getLogger(__name__)

REFUSED = (errors.UnknownMemberIdError, errors.IllegalGenerationError, errors.RebalanceInProgressError)
MOVED = (errors.GroupCoordinatorNotAvailableError, errors.NotCoordinatorForGroupError, errors.RequestTimedOutError)
LEAVE_TRIES = 3
MEMBER_FILES = 64  # workers of one stage that share a data folder


class Grant(NamedTuple):
    """What the group gave us, captured in the consumer thread before anything can be awaited.

    `since` holds for each partition the generation from which on we have had it in every generation.
    """

    generation: int
    member: str
    since: dict[TP, int]


def next_grant(old: Grant | None, generation: int, member: str, partitions: Iterable[TP]) -> Grant:
    """Carry what comes back to the same member in the very next generation; the rest is ours from now on."""
    follows = old is not None and old.member == member and old.generation + 1 == generation
    since = old.since if old is not None and follows else {}
    return Grant(generation, member, {tp: since.get(tp, generation) for tp in partitions})


class MemberFile:
    """Remembers our member id on disk, so that a restarted worker can make the group forget its dead predecessor.

    The kernel lets go of the lock with the process: a file that can be locked belongs to nobody alive.
    """

    def __init__(self, folder: Path, group: str) -> None:
        self._file: IO[str] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(MEMBER_FILES):
            file = (folder / f"{group}.{number}").open("a+")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
                continue
            self._file = file
            return

    def read(self) -> str:
        """Member id of the predecessor, empty if there was none."""
        if self._file is None:
            return ""
        self._file.seek(0)
        return self._file.read().strip()

    def write(self, member: str) -> None:
        """Remember our own."""
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()
            self._file.write(member)
            self._file.flush()


class RebalanceListener(driver.ConsumerRebalanceListener):
    """Captures a grant in the consumer thread, before Faust hands the news to the main loop."""

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Called by aiokafka."""
        self._thread.granted({TP(tp.topic, tp.partition) for tp in assigned})
        await super().on_partitions_assigned(assigned)


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread with numbered polls, grants and commits that name their generation."""

    fetch_bytes = 1  # for which a fetch waits
    fetch_wait_ms = 500  # Faust hard-codes 1500, and a request behind a long poll waits as long
    assignor: Any = None  # Faust takes roundrobin, which moves partitions that could stay
    member_folder: Path | None = None

    serial = 0  # polls that moved the fetch positions
    grant: Grant | None = None
    _member_file: MemberFile | None = None

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms, consumer._fetch_min_bytes = self.fetch_wait_ms, self.fetch_bytes
        if self.assignor:
            consumer._partition_assignment_strategy = (self.assignor,)
        return consumer

    @property
    def _coordinator(self) -> Any:
        return self._ensure_consumer()._coordinator

    async def on_start(self) -> None:
        """Forget our dead predecessor before we join: else the group waits until its session ends."""
        await super().on_start()
        if self.member_folder:
            self._member_file = MemberFile(self.member_folder, self._coordinator.group_id)
            if member := self._member_file.read():
                await self._leave_as(member)

    async def _leave_as(self, member: str) -> None:
        coordinator = self._coordinator
        for _ in range(LEAVE_TRIES):
            await coordinator.ensure_coordinator_known()
            response = await coordinator._send_req(LeaveGroupRequest(coordinator.group_id, member))
            error = errors.for_code(response.error_code)
            log.info("asked the group to forget %s: %s", member, error.__name__)
            if not issubclass(error, MOVED):
                return
            coordinator.coordinator_dead()  # just after a restart of the broker

    def granted(self, partitions: set[TP]) -> None:
        """Called in the consumer thread at each assignment."""
        coordinator = self._coordinator
        self.grant = next_grant(self.grant, coordinator.generation, coordinator.member_id, partitions)
        if self._member_file:
            self._member_file.write(coordinator.member_id)

    def partitions_of(self, topic: str) -> int:
        """How many partitions the topic has, as far as the client knows."""
        return len(self._ensure_consumer().partitions_for_topic(topic) or ())

    async def inside(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run in the consumer thread's loop. Faust's `call_thread` has two workers only: a commit that waits for the
        broker would block the fetch.
        """  # noqa: D205
        if not self.thread_loop.is_running():
            coroutine.close()
            raise errors.IllegalStateError("the consumer thread has ended")
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self.thread_loop))

    async def _fetch_records(self, *args: Any, **kwargs: Any) -> Any:
        if not (records := await super()._fetch_records(*args, **kwargs)):
            return None
        self.serial += 1
        return self.serial, records

    async def commit_as(self, generation: int, member: str, offsets: dict[TP, tuple[int, str]]) -> bool | None:
        """Commit in the name of a grant: True accepted, False refused for good, None not known (try again).

        Not aiokafka's own commit: that one speaks in the name of the generation that the consumer has at the moment of
        sending, so a dead assignment could commit.
        """
        coordinator = self._coordinator
        retention = OffsetCommitRequest.DEFAULT_RETENTION_TIME
        request = OffsetCommitRequest(coordinator.group_id, generation, member, retention, _by_topic(offsets))
        try:
            await coordinator.ensure_coordinator_known()
            response = await coordinator._send_req(request)
        except errors.KafkaError as exc:
            log.info("commit not answered: %r", exc)
            return None
        failed = {errors.for_code(code) for _, partitions in response.topics for _, code in partitions}
        return self._judge(failed - {errors.NoError}, generation)

    def _judge(self, failed: set[Any], generation: int) -> bool | None:
        if not failed:
            return True
        log.warning("commit in generation %s: %s", generation, ", ".join(error.__name__ for error in failed))
        if any(issubclass(error, REFUSED) for error in failed):
            return False
        if any(issubclass(error, MOVED) for error in failed):
            self._coordinator.coordinator_dead()
        elif not all(error.retriable for error in failed):
            raise failed.pop()()
        return None

    async def committed(self, partitions: Sequence[TP]) -> dict[TP, tuple[int | None, str]]:
        """Position and metadata of each partition as the coordinator has them; (None, "") where it has none."""
        theirs = [driver.ensure_aiokafka_TP(tp) for tp in partitions]
        states = await self._coordinator.fetch_committed_offsets(theirs)
        found = {TP(tp.topic, tp.partition): (state.offset, state.metadata) for tp, state in states.items()}
        return {tp: found.get(tp, (None, "")) for tp in partitions}

    async def seek_all(self, targets: dict[TP, int | None]) -> int:
        """Seek, to the beginning where None; gives the serial after which polls start at the new positions."""
        consumer = self._ensure_consumer()
        for tp, offset in targets.items():
            if offset is not None:
                consumer.seek(driver.ensure_aiokafka_TP(tp), offset)
        serial = self.serial
        # aiokafka's seek_to_committed would leave partitions without a commit where they are
        if fresh := [driver.ensure_aiokafka_TP(tp) for tp, offset in targets.items() if offset is None]:
            await consumer.seek_to_beginning(*fresh)
        return serial


def _by_topic(offsets: dict[TP, tuple[int, str]]) -> list[tuple[str, list[tuple[int, int, str]]]]:
    topics: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for tp, (offset, metadata) in offsets.items():
        topics[tp.topic].append((tp.partition, offset, metadata))
    return list(topics.items())
