"""Catch-up: from a client's cursor through the log up to the live end, then live, without a gap or a repeat."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from gateway.bus import RETRY, Bus
from gateway.updates import Viewer, advance, read_entry
from pipeline.cursor import Cursor, CursorError
from pipeline.delivery import View
from topics.catalog import ANSWERS, Lane

BATCH = 200  # records between two looks at the client's outbox
FETCH_WAIT_MS = 20  # often there is nothing to catch up with, and the client waits for it
TOGETHER = 16  # clients that are caught up at the same time; more wait for their turn


class Resuming(Viewer, Protocol):
    """A viewer who came with a cursor."""

    def refuse(self, reason: str) -> None:
        """Hear that the cursor cannot be used."""


class CatchUp:
    """Brings viewers up to the live end, each by a reader of his own."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._turns = asyncio.Semaphore(TOGETHER)

    async def run(self, viewer: Resuming, cursor: Cursor) -> None:
        """Deliver what comes after the cursor to a viewer who joined, and attach him to the live end.

        His view and position move with what he was given, so a reader that fails is replaced by one that goes on from
        there. A cursor made for another log is refused; he is then given what came since he joined.
        """
        live = Cursor.at(viewer.session, viewer.position, View())
        try:
            await self._follow(viewer, cursor)
        except CursorError as exc:
            viewer.refuse(str(exc))
            await self._follow(viewer, live)

    async def _follow(self, viewer: Viewer, cursor: Cursor) -> None:
        viewer.view, viewer.position = cursor.view, cursor.offset
        while True:
            try:
                async with self._turns:
                    return await self._read(viewer, cursor)
            except (KafkaError, OSError):
                await asyncio.sleep(RETRY)

    async def _read(self, viewer: Viewer, cursor: Cursor) -> None:
        settings = self._bus.settings
        reader = AIOKafkaConsumer(
            **settings.kafka_client(),
            auto_offset_reset="none",
            enable_auto_commit=False,
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )
        try:
            await reader.start()
            tp = TopicPartition(ANSWERS.on(Lane.LIVE, settings.topic_prefix), viewer.partition)
            reader.assign([tp])
            reader.seek(tp, viewer.position)
            while not self._arrived(viewer, cursor, reader.highwater(tp)):
                await viewer.room()
                try:
                    batches = await reader.getmany(tp, timeout_ms=FETCH_WAIT_MS, max_records=BATCH)
                except OffsetOutOfRangeError:
                    await self._expire(viewer, reader, tp)
                    continue
                for record in batches.get(tp, []):
                    await self._take(viewer, cursor, record)
        finally:
            await reader.stop()

    def _arrived(self, viewer: Viewer, cursor: Cursor, end: int | None) -> bool:
        """Attach when nothing is left to read and the broker confirmed that the log reaches to the cursor."""
        if end is None:
            return False
        unchecked = viewer.position == cursor.offset and cursor.seen > 0
        if viewer.position + unchecked > end:
            raise CursorError("this cursor belongs to another log")
        return not unchecked and self._bus.attach(viewer)

    async def _expire(self, viewer: Viewer, reader: AIOKafkaConsumer, tp: TopicPartition) -> None:
        begin = (await reader.beginning_offsets([tp]))[tp]
        if viewer.position >= begin:
            raise CursorError("this cursor belongs to another log")
        viewer.view, viewer.position = View(), begin
        viewer.expire(Cursor.at(viewer.session, begin, View()).dump())
        reader.seek(tp, begin)

    async def _take(self, viewer: Viewer, cursor: Cursor, record: Any) -> None:
        skip = 0
        if viewer.position <= cursor.offset <= record.offset and cursor.seen:
            if record.offset > cursor.offset:
                raise CursorError("this cursor belongs to another log")
            cursor.check(record.value or b"")
            skip = cursor.seen
        viewer.position = record.offset + 1
        if record.key != viewer.session.encode() or (entry := read_entry(viewer.session, record)) is None:
            return
        viewer.view, update = advance(viewer.view, entry, record.offset, record.value, skip)
        if update.messages:
            viewer.deliver(update)
            await viewer.room()
