"""Keeps the books of batch tasks: counts their results, says how far they are, and that they have ended."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from agents.tasks import started_producer, task_log, write
from pipeline.batches import Task
from pipeline.settings import Settings
from storage.database import StorageError
from storage.store import Store
from topics.tasks import TaskFailed, TaskFinished, TaskProgress, TaskRecord

INTERVAL = 0.25  # seconds between two progress events of a task
SHARE = 5.0  # times as long as counting takes we wait until we count again
ABANDONED = "who wrote its texts went away after {} of them; submit it again (a replay: under another name)"

log = logging.getLogger(__name__)


class Bookkeeping:
    """Several may run at once: what they write of a task is the same, whoever is the last to look."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._log = task_log(settings)
        self._log.on_change = self._changed
        self._open: dict[str, Task] = {}  # tasks that have not ended
        self._touched: set[str] = set()  # with results that were not counted
        self._stale: dict[str, Task] = {}  # whose row is older than they are
        self._producer: AIOKafkaProducer | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Read the task events, and begin."""
        self._producer = await started_producer(self._settings)
        self._tasks = [asyncio.create_task(self._log.run())]
        await self._log.caught_up.wait()
        self._tasks.append(asyncio.create_task(self._run()))

    async def stop(self) -> None:
        """Let go of the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._producer is not None:
            await self._producer.stop()

    def touch(self, runs: Iterable[str]) -> None:
        """These have new results."""
        self._touched.update(runs)

    def _changed(self, task: Task) -> None:
        self._stale[task.id] = task
        before = self._open.pop(task.id, None)
        if task.has_ended or task.created is None:
            return
        self._open[task.id] = task
        if before is None or before.events.keys() != task.events.keys():  # also when the last text is written only now
            self._touched.add(task.id)

    async def _run(self) -> None:
        while True:
            began = time.monotonic()
            try:
                await self._look()
            except (KafkaError, StorageError) as exc:
                log.warning("the books of batch tasks wait: %s", exc)
            await asyncio.sleep(max(INTERVAL, SHARE * (time.monotonic() - began)))

    async def _look(self) -> None:
        for name, task in list(self._stale.items()):
            await asyncio.to_thread(self._store.put_task, task)
            if self._stale.get(name) is task:
                del self._stale[name]
        for name in list(self._touched):
            self._touched.discard(name)
            try:
                await self._count(name)
            except BaseException:
                self._touched.add(name)
                raise
        for task in list(self._open.values()):
            if task.is_abandoned(time.time()):
                await self._write(task.id, TaskFailed(error=ABANDONED.format(task.written), at=time.time()))

    async def _count(self, name: str) -> None:
        """Say how far a task is, if that changed; one that is finished is counted again after a redrive."""
        task = self._log.board.get(name)
        if task is None or task.is_withdrawn:
            return
        counts = await asyncio.to_thread(self._store.counts, name)
        is_whole = "published" in task.events and sum(counts) >= (task.total or 0)
        if counts == task.counts and (task.has_ended or not is_whole):
            return
        if is_whole:
            at = await asyncio.to_thread(self._store.last_answer, name)
            at = at or task.events["published"].at
            await self._write(name, TaskFinished(completed=counts.completed, failed=counts.failed, at=at))
        elif not task.has_ended:
            await self._write(name, TaskProgress(completed=counts.completed, failed=counts.failed, at=time.time()))

    async def _write(self, task: str, record: TaskRecord) -> None:
        assert self._producer is not None
        await write(self._producer, self._settings, task, record)
