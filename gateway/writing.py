"""Writes the texts of batch tasks to the bulk transcripts, in the background, and says how far it is."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from aiokafka.errors import KafkaError
from starlette.requests import ClientDisconnect

from gateway.problems import Problem
from gateway.results import Results
from gateway.tasks import Tasks
from pipeline.batches import item_records, item_session
from pipeline.texts import Texts, TextsError
from storage.rows import Text
from topics.tasks import TaskFailed, TaskMode, TaskPublished, TaskPublishing

AT_ONCE, CHARS_AT_ONCE = 500, 1_000_000  # texts on their way to the broker, and characters of them
BEAT = 2.0  # seconds between two signs of life
FINISH_WITHIN = 5.0  # seconds for what is being written when the gateway stops

log = logging.getLogger(__name__)


class Writing:
    """What is being written now, by task."""

    def __init__(self, tasks: Tasks, results: Results) -> None:
        self._tasks, self._results = tasks, results
        self._running: dict[str, asyncio.Task[None]] = {}

    def __contains__(self, task: str) -> bool:
        return task in self._running

    def begin(self, task: str, texts: AsyncIterator[str], mode: TaskMode) -> None:
        """Write in the background."""
        self.track(task, self.write(task, texts, mode))

    def track(self, task: str, writing: Coroutine[Any, Any, None]) -> None:
        """Run what writes the items of a task in the background."""
        running = self._running[task] = asyncio.create_task(writing)
        running.add_done_callback(lambda _: self._running.pop(task, None))

    async def write(self, task: str, texts: AsyncIterator[str], mode: TaskMode) -> None:
        """Write every text and then say so; a task that ends meanwhile gets no more.

        What cannot be written fails the task. If we die, our silence does.

        Raises:
            TextsError, ClientDisconnect: as the texts do; the task has failed then.
        """
        count, beat = 0, time.monotonic()
        try:
            async for some in chunks(texts):
                known = self._tasks.board.get(task)
                if known is not None and known.has_ended:
                    return
                await self._store(task, count, some, mode)
                count += len(some)
                if time.monotonic() - beat > BEAT:
                    beat = time.monotonic()
                    await self._tasks.tell(task, TaskPublishing(count=count, at=time.time()))
            await self._tasks.tell(task, TaskPublished(total=count, at=time.time()))
        except (KafkaError, OSError, Problem) as exc:
            log.error("the texts of task %s cannot be written: %r", task, exc)
            await self.fail(task, f"Kafka did not take the texts behind the first {count}; submit it again")
        except TextsError as exc:
            await self.fail(task, f"the texts cannot be read: {exc}")
            raise
        except ClientDisconnect:
            await self.fail(task, f"the upload ended in the middle, behind {count} texts or more")
            raise
        except asyncio.CancelledError:
            await self.fail(task, f"the gateway was stopped while it wrote the texts behind the first {count}")
            raise

    async def fail(self, task: str, error: str) -> None:
        """Say that a task cannot go on; where even that is not possible, our silence will say it."""
        with contextlib.suppress(Problem):
            await self._tasks.tell(task, TaskFailed(error=error, at=time.time()))

    async def _store(self, task: str, first: int, texts: list[str], mode: TaskMode) -> None:
        sent = []
        for index, text in enumerate(texts, first):
            for record in item_records(text, mode):
                sent.append(await self._tasks.send(item_session(task, index), record))
        await asyncio.gather(*sent)
        await self._results.add_texts([Text(task, index, text) for index, text in enumerate(texts, first)])

    async def finish(self) -> None:
        """Give what is being written some time, then let it fail."""
        running = set(self._running.values())
        if running:
            await asyncio.wait(running, timeout=FINISH_WITHIN)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def each(texts: list[str]) -> AsyncIterator[str]:
    """Texts that are all there."""
    for text in texts:
        yield text


async def parsed(texts: Texts, stream: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Texts of a body that is still on its way; raises TextsError."""
    async for data in stream:
        for text in texts.push(data):
            yield text
    for text in texts.close():
        yield text


async def chunks(texts: AsyncIterator[str]) -> AsyncIterator[list[str]]:
    """Texts in lists of up to AT_ONCE; a list ends with the text that makes it CHARS_AT_ONCE long, so that memory is
    bounded however long they are.
    """  # noqa: D205
    some: list[str] = []
    size = 0
    async for text in texts:
        some.append(text)
        size += len(text)
        if len(some) == AT_ONCE or size >= CHARS_AT_ONCE:
            yield some
            some, size = [], 0
    if some:
        yield some
