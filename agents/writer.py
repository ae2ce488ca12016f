"""Who may write an output partition: how an assignment is opened.

commit {n: epoch} (the coordinator must accept it) → append claim(epoch) → read our output from the bound up to this
claim. If a claim as high came first, ours is void: again with the highest + 1. The claim's own offset is the end of the
read-back, so no "log end" is ever asked for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.assignment import Assignment
from pipeline.errors import BrokerError
from pipeline.progress import Fence, Metadata
from pipeline.settings import Settings
from topics import headers
from topics.codec import encode
from topics.messages import Claim

log = logging.getLogger(__name__)

Recall = Callable[[Assignment, Any, headers.Stamp], None]


class Bound(NamedTuple):
    """Where the read-back begins, and the epoch of the output there."""

    offset: int
    epoch: int


class Writer:
    """Opens assignments of one stage.

    Args:
        app: the Faust app, for its producer and the commits in an assignment's name.
        output: name of the output topic.
        recall: takes one valid record of our own output into the assignment's memory.
        settings: where the broker is.
        look_back: seconds of output that are read at least.
    """

    retry_pause = 0.1  # seconds between two tries of a commit that was not answered
    doubt_pause, max_doubts = 0.5, 10  # seconds, and how often a missing commit is asked for again

    def __init__(self, app: Any, output: str, recall: Recall, settings: Settings, look_back: float = 0.0) -> None:
        self.app, self.output, self.recall, self.settings, self.look_back = app, output, recall, settings, look_back

    async def open(self, assignment: Assignment) -> bool:
        """Take over the partition and recall what its predecessors wrote; False: it is not ours any more.

        Raises:
            BrokerError: input, output and position do not belong together.
        """
        wait = self.settings.fetch_wait_ms
        options = {"group_id": None, "enable_auto_commit": False, "auto_offset_reset": "earliest"}
        reader = AIOKafkaConsumer(**self.settings.kafka_client(), fetch_max_wait_ms=wait, **options)
        try:
            await reader.start()
            await self._doubt(assignment, reader)
            opened = await _Opening(self, assignment, reader).run()
        finally:
            await reader.stop()
        if opened is None or assignment.dead:
            return False
        position, epoch, claim = opened
        if assignment.position is not None and assignment.position != position:
            await self.app.consumer.seek_to(assignment.tp, position)
        assignment.epoch, assignment.outputs.end, assignment.ready = epoch, claim + 1, not assignment.dead
        return assignment.ready

    async def _doubt(self, assignment: Assignment, reader: AIOKafkaConsumer) -> None:
        """Ask again for a commit that is said not to be there though the output shows that somebody owned it.

        A broker that has just come back may say so of any; to believe it would be to read everything again.
        """
        if assignment.position is not None or self.settings.kafka_embedded:
            return
        output = TopicPartition(self.output, assignment.tp.partition)
        begin, end = await reader.beginning_offsets([output]), await reader.end_offsets([output])
        for _ in range(self.max_doubts if end[output] > begin[output] else 0):
            await asyncio.sleep(self.doubt_pause)
            position, metadata = (await self.app.consumer.committed_states([assignment.tp]))[assignment.tp]
            if position is not None and not assignment.dead:
                assignment.inherit(position, metadata)
                await self.app.consumer.seek_to(assignment.tp, position)
                return

    async def claim(self, partition: int, epoch: int) -> int:
        """Append a claim; gives its offset."""
        await self.app.maybe_start_producer()
        value, stamp = encode(Claim(epoch=epoch)), headers.claim_stamp(epoch)
        sent = await self.app.producer.raw.send_and_wait(self.output, value, partition=partition, headers=stamp)
        return int(sent.offset)

    async def commit(self, assignment: Assignment, position: int, metadata: Metadata) -> bool:
        """False: the coordinator says that this assignment is not the group's any more."""
        while not assignment.dead:
            accepted = await self.app.consumer.commit_as([(assignment, (position, metadata.dump()))])
            if accepted is not None:
                return bool(accepted)
            await asyncio.sleep(self.retry_pause)
        return False


class _Opening:
    """One takeover of one partition.

    The reader has a connection of its own, and its partitions stay paused until they are needed: a broker answers one
    connection in order, so behind a fetch that waits for data we would wait as long.
    """

    def __init__(self, writer: Writer, assignment: Assignment, reader: AIOKafkaConsumer) -> None:
        self.writer, self.assignment, self.reader = writer, assignment, reader
        self.input = TopicPartition(*assignment.tp)
        self.output = TopicPartition(writer.output, assignment.tp.partition)
        self.begun: set[int] = set()
        inherited = assignment.inherited
        self.bound = Bound(inherited.bound, inherited.bound_epoch) if inherited else Bound(0, 0)
        self.taken = inherited.taken if inherited else 0
        # the embedded broker's "latest" offset is wrong
        self.checks_input = not writer.settings.kafka_embedded

    async def run(self) -> tuple[int, int, int] | None:
        """Position, epoch and claim offset; None where the coordinator refused."""
        started = time.perf_counter()
        self.reader.assign([self.input, self.output])
        self.reader.pause(self.input, self.output)
        begin = await self.reader.beginning_offsets([self.input, self.output])
        position = await self._position(begin[self.input])
        epoch, at, fence = self.taken + 1, -1, Fence()
        while True:
            if (claim := await self._take(position, epoch)) is None:
                return None
            if at < 0:
                at, fence = await self._begin_reading(begin[self.output], claim)
            at, counted = await self._read_to(claim, at, fence)
            if counted:
                break
            epoch = fence.epoch + 1  # a claim as high stands before ours: the metadata was lost
        await self._check_origin()
        spent = (time.perf_counter() - started) * 1000
        place = (self.assignment.tp.topic, self.assignment.tp.partition)
        log.info("opened %s/%d at %d with epoch %d in %.0f ms", *place, position, epoch, spent)
        return position, epoch, claim

    async def _position(self, begin: int) -> int:
        assignment = self.assignment
        position = begin if assignment.position is None else assignment.position
        if self.checks_input and position > await self._input_end():
            raise self._other_log(f"the committed position is {position}")
        if position < begin:
            log.error("%s/%d: records %d to %d are gone unread", *assignment.tp, position, begin - 1)
            position = begin
        assignment.progress = type(assignment.progress)(position, assignment.progress.input_epoch)
        return position

    async def _input_end(self) -> int:
        return int((await self.reader.end_offsets([self.input]))[self.input])

    async def _take(self, position: int, epoch: int) -> int | None:
        assignment = self.assignment
        metadata = Metadata(*self.bound, assignment.progress.input_epoch, assignment.starts, epoch)
        if not await self.writer.commit(assignment, position, metadata):
            return None
        return await self.writer.claim(assignment.tp.partition, epoch)

    async def _begin_reading(self, begin: int, claim: int) -> tuple[int, Fence]:
        if not begin <= self.bound.offset <= claim:  # the log is not the one the bound was taken from
            self.bound = Bound(begin, 0)
        at, fence = self.bound.offset, Fence(self.bound.epoch)
        if self.writer.look_back and (earlier := await self._look_back(begin, at)) < at:
            at, fence = earlier, Fence()
        self.reader.seek(self.output, at)
        self.reader.resume(self.output)
        return at, fence

    async def _look_back(self, begin: int, at: int) -> int:
        if self.writer.settings.kafka_embedded:  # it cannot look up times
            return begin
        since = int((time.time() - self.writer.look_back) * 1000)
        found = (await self.reader.offsets_for_times({self.output: since}))[self.output]
        return max(begin, found.offset) if found else at

    async def _read_to(self, claim: int, at: int, fence: Fence) -> tuple[int, bool]:
        """Read on up to our claim; says whether it counts."""
        counted = False
        while at <= claim:
            batch = (await self.reader.getmany(self.output, timeout_ms=1000)).get(self.output, [])
            for record in batch:
                if record.offset > claim:  # a frozen predecessor's: read again if we have to go on
                    self.reader.seek(self.output, claim + 1)
                    return claim + 1, counted
                if record.offset >= self.bound.offset:
                    fence.epoch = max(fence.epoch, self.bound.epoch)
                at, counted = record.offset + 1, self._fold(fence, record)
            if not batch:  # compaction or transaction markers leave offsets without records
                at = max(at, await self.reader.position(self.output))
        return at, counted

    def _fold(self, fence: Fence, record: Any) -> bool:
        stamp = headers.read_stamp(record.headers)
        if not fence.admits(stamp.epoch, is_claim=stamp.is_claim):
            return False
        if stamp.source is not None:
            progress = self.assignment.progress
            self.assignment.highest = max(self.assignment.highest, stamp.origin)
            if stamp.origin >= progress.start and stamp.origin not in self.begun:
                self.begun.add(stamp.origin)
                progress.begun(stamp.origin, record.offset, fence.epoch)
            self.writer.recall(self.assignment, record, stamp)
        return True

    async def _check_origin(self) -> None:
        highest = self.assignment.highest
        if self.checks_input and highest >= 0 and highest >= await self._input_end():
            raise self._other_log(f"our output was made from record {highest}")

    def _other_log(self, fact: str) -> BrokerError:
        topic, partition = self.assignment.tp
        return BrokerError(
            f"Topic {topic} partition {partition} ends before what we know of it: {fact}. It was deleted and created "
            f"again: delete {self.writer.output} and the consumer group {self.writer.app.conf.id} too, and start again."
        )
