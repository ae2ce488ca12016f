"""The live end of the answers topic: one reader without a group, which follows the partitions that somebody views."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError, RecordTooLargeError

from gateway.updates import Update, Viewer, advance, read_entry
from pipeline.cursor import Cursor
from pipeline.delivery import View
from pipeline.settings import Settings
from pipeline.starting import started
from topics.catalog import ANSWERS, TRANSCRIPTS, Lane

LOOK_UP_WITHIN = 2.5  # seconds; a client waits 3 for its first ack
BATCH = 500  # records dispatched at once, so that sockets get their turn

log = logging.getLogger(__name__)


class Place(NamedTuple):
    """Where a session goes live: offset of its next answers record, and end of its transcripts partition."""

    position: int
    since: int


class Follower:
    """Hands every record of a viewed session to its viewers.

    Offsets are looked up on a connection of their own: behind a fetch that waits for data, a look-up would wait too.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._answers = ANSWERS.on(Lane.LIVE, settings.topic_prefix)
        self._transcripts = TRANSCRIPTS.on(Lane.LIVE, settings.topic_prefix)
        self._viewers: defaultdict[bytes, list[Viewer]] = defaultdict(list)
        self._followed: Counter[int] = Counter()
        self._next: dict[int, int] = {}
        self._opening: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._reader: AIOKafkaConsumer | None = None
        self._lookup: AIOKafkaConsumer | None = None

    async def start(self, lookup: AIOKafkaConsumer, partitions: Iterable[int]) -> None:
        """Connect the reader; what was followed before goes on where it was."""
        reader = await started(
            AIOKafkaConsumer(
                **self._settings.kafka_client(),
                auto_offset_reset="none",
                enable_auto_commit=False,
                fetch_max_wait_ms=self._settings.fetch_wait_ms,
            )
        )
        mine = [self._tp(partition) for partition in sorted(partitions)]
        reader.assign(mine)
        for tp in mine:
            reader.seek(tp, self._next.get(tp.partition, 0))
        reader.pause(*(tp for tp in mine if not self._followed[tp.partition]))
        self._reader, self._lookup = reader, lookup

    async def stop(self) -> None:
        """Let go of the reader; viewers and positions stay."""
        reader, self._reader, self._lookup = self._reader, None, None
        if reader is not None:
            await reader.stop()

    async def open(self, partition: int) -> Place:
        """Follow a partition for one more viewer, from here on; `close` is its counterpart.

        Raises:
            KafkaError, TimeoutError: the broker does not answer; nothing is followed then.
        """
        async with self._opening[partition]:
            if self._lookup is None:
                raise TimeoutError("not connected")
            answers, transcripts = self._tp(partition), TopicPartition(self._transcripts, partition)
            async with asyncio.timeout(LOOK_UP_WITHIN):
                ends = await self._lookup.end_offsets([answers, transcripts])
            if self._reader is None:
                raise TimeoutError("the connection was lost")
            if not self._followed[partition]:
                self._next[partition] = ends[answers]
                self._reader.seek(answers, ends[answers])
                self._reader.resume(answers)
            self._followed[partition] += 1
        return Place(self._next[partition], ends[transcripts])

    def close(self, partition: int) -> None:
        """One viewer less; a partition without viewers is not read."""
        self._followed[partition] -= 1
        if not self._followed[partition] and self._reader is not None:
            self._reader.pause(self._tp(partition))

    def position(self, partition: int) -> int:
        """Offset of the next record that will be handed out."""
        return self._next[partition]

    def attach(self, viewer: Viewer, partition: int) -> bool:
        """Hand records to a viewer from now on, unless that would leave a gap behind his position."""
        if viewer.position < self._next[partition]:
            return False
        self._viewers[viewer.session.encode()].append(viewer)
        return True

    def detach(self, viewer: Viewer) -> None:
        """Hand nothing more to a viewer."""
        key = viewer.session.encode()
        left = [other for other in self._viewers.pop(key, []) if other is not viewer]
        if left:
            self._viewers[key] = left

    async def run(self) -> None:
        """Read until cancelled; raises KafkaError when the reader has to be replaced."""
        reader = self._reader
        assert reader is not None
        while True:
            try:
                batches = await reader.getmany(timeout_ms=1000, max_records=BATCH)
            except OffsetOutOfRangeError as exc:
                await self._go_on(list(exc.args[0]))
                continue
            except RecordTooLargeError:
                continue  # passed over, as every record that cannot be read
            for tp, records in batches.items():
                for record in records:
                    self._dispatch(tp.partition, record)
            await asyncio.sleep(0)

    def _dispatch(self, partition: int, record: Any) -> None:
        if record.offset < self._next[partition]:
            return
        self._next[partition] = record.offset + 1
        viewers = self._viewers.get(record.key)
        if not viewers or (entry := read_entry(record.key.decode(), record)) is None:
            return
        folded: dict[View, tuple[View, Update]] = {}  # most viewers of a session stand at the same view
        for viewer in [viewer for viewer in viewers if viewer.position <= record.offset]:
            if viewer.view not in folded:
                folded[viewer.view] = advance(viewer.view, entry, record.offset, record.value)
            viewer.view, update = folded[viewer.view]
            if update.messages:
                viewer.deliver(update)

    async def _go_on(self, lost: list[TopicPartition]) -> None:
        """The log does not hold what we stand at: go on from what it has, and say so to who views it."""
        assert self._reader is not None and self._lookup is not None
        begins = await self._lookup.beginning_offsets(lost)
        ends = await self._lookup.end_offsets(lost)
        for tp in lost:
            at = begins[tp] if self._next[tp.partition] < begins[tp] else ends[tp]
            log.warning("%s: nothing at offset %d any more, going on at %d", tp, self._next[tp.partition], at)
            self._next[tp.partition] = at
            self._reader.seek(tp, at)
            for viewer in self._on(tp.partition):
                viewer.view, viewer.position = View(), at
                viewer.expire(Cursor.at(viewer.session, at, View()).dump())

    def _on(self, partition: int) -> list[Viewer]:
        return [viewer for viewers in self._viewers.values() for viewer in viewers if viewer.partition == partition]

    def _tp(self, partition: int) -> TopicPartition:
        return TopicPartition(self._answers, partition)
