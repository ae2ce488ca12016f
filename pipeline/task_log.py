"""Follows the topic of task events: what every process of the bulk lane knows of the tasks.

Who reads hands in how to open a consumer; everything here is the same for workers, results and gateways.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

from pipeline.batches import Board, Task
from topics.catalog import TASKS
from topics.codec import DecodeError, decode
from topics.tasks import task_of

Open = Callable[[], AbstractAsyncContextManager[Any]]
RETRY = 0.5  # seconds between two attempts to connect

log = logging.getLogger(__name__)


class TaskLog:
    """A board that is kept up to date while `run` runs.

    Args:
        opened: a context with a consumer (as aiokafka's) of every partition of the topic, from its beginning.
        retried: errors of that client after which it is opened again.

    Attributes:
        board: every task.
        on_change: called with each task that an event changed.
        caught_up: set once the log was read to its end.
        trouble: why it is not being read now, in words for a person; None while it is.
    """

    def __init__(self, opened: Open, retried: tuple[type[BaseException], ...]) -> None:
        self.board = Board()
        self.on_change: Callable[[Task], None] = lambda _: None
        self.caught_up = asyncio.Event()
        self.trouble: str | None = "the task events are not read yet"
        self._opened, self._retried = opened, retried
        self._consumer: Any = None
        self._polls = 0
        self._moved = asyncio.Event()

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            try:
                async with self._opened() as consumer:
                    await self._follow(consumer)
            except self._retried as exc:
                if self.trouble is None or not self.trouble.endswith(str(exc)):
                    log.warning("the task events cannot be read, trying again: %r", exc)
                self.trouble = f"the task events cannot be read: {exc}"
            finally:
                self._consumer = None
            await asyncio.sleep(RETRY)

    async def _follow(self, consumer: Any) -> None:
        board, is_current = Board(), False
        self._consumer = consumer
        while True:
            batches = await consumer.getmany(timeout_ms=100)
            records = [record for batch in batches.values() for record in batch]
            changed = [task for record in records if (task := _take(board, record)) is not None]
            if not is_current and await self._is_at_end(consumer):  # not before: its beginning is the past
                self.board, is_current, changed = board, True, list(board.tasks.values())
                self.caught_up.set()
                self.trouble = None
            for task in changed if is_current else ():
                self.on_change(board.tasks[task.id])
            self._polls += 1
            self._moved.set()
            self._moved = asyncio.Event()

    async def _is_at_end(self, consumer: Any) -> bool:
        for tp in consumer.assignment():
            end = consumer.highwater(tp)
            if end is None or await consumer.position(tp) < end:
                return False
        return True

    async def seen(self, partition: int, offset: int) -> None:
        """Wait until an event that was stored at this place is on the board."""
        while True:
            consumer = self._consumer
            if consumer is not None and self.caught_up.is_set():
                (mine,) = [tp for tp in consumer.assignment() if tp.partition == partition]
                if await consumer.position(mine) > offset:
                    return
            await self._moved.wait()

    async def fresh(self) -> None:
        """Wait until the board shows what was stored by others before now."""
        until = self._polls + 3  # the first may have been asked for before
        while self._polls < until:
            await self._moved.wait()


def _take(board: Board, record: Any) -> Task | None:
    task = task_of(record.key)
    if record.value is None:
        board.forget(task, (record.key or b"").decode("utf-8", "replace").rpartition("/")[2])
        return None
    with suppress(DecodeError):  # somebody else's
        return board.take(task, decode(TASKS, record.value))
    log.error("%s/%d offset %d is no task event", record.topic, record.partition, record.offset)
    return None
