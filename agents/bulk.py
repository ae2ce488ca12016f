"""What the answers stage of the bulk lane knows of batch tasks: whose items may go, and in which order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from agents.tasks import started_producer, task_log, write
from pipeline.batches import Task, place_of
from pipeline.settings import Settings
from topics.tasks import TaskStarted

log = logging.getLogger(__name__)


class Tasks:
    """The tasks of the lane, read to their end before the first record is.

    Args:
        on_withdrawn: called with a task whose items are not to be answered any more.
        on_change: called when items that were held may go.
    """

    def __init__(self, settings: Settings, on_withdrawn: Callable[[str], None], on_change: Callable[[], None]) -> None:
        self._settings, self._on_withdrawn, self._on_change = settings, on_withdrawn, on_change
        self._log = task_log(settings)
        self._log.on_change = self._changed
        self._producer: AIOKafkaProducer | None = None
        self._reading: asyncio.Task[None] | None = None
        self._started: set[str] = set()  # tasks that we said to have started

    async def start(self) -> None:
        """Read what there is."""
        self._producer = await started_producer(self._settings)
        self._reading = asyncio.create_task(self._log.run())
        await self._log.caught_up.wait()

    async def stop(self) -> None:
        """Let go of the connections."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._producer is not None:
            await self._producer.stop()

    def of(self, session: str) -> Task | None:
        """The task whose item a session is."""
        return self._log.board.tasks.get(place_of(session).run)

    def choose(self, groups: Collection[str], busy: Sequence[str]) -> str | None:
        """The run whose item goes next: of the highest priority, none that is paused or has its width.

        What was withdrawn goes first: it costs nothing and makes room.
        """
        best, highest = None, float("-inf")
        for run in groups:
            task = self._log.board.tasks.get(run)
            if task is None or task.is_withdrawn:
                priority = 0.0 if task is None else float("inf")
            elif task.is_paused or busy.count(run) >= task.width:
                continue
            else:
                priority = task.priority
            if priority > highest or best is None:
                best, highest = run, priority
        return best

    async def begin(self, task: Task) -> None:
        """Say that a task has started, if nobody did; it is no harm when that is lost."""
        if task.id in self._started or task.started_at is not None or self._producer is None:
            return
        self._started.add(task.id)
        try:
            await write(self._producer, self._settings, task.id, TaskStarted(at=time.time()))
        except KafkaError as exc:
            log.warning("that task %s started could not be stored: %r", task.id, exc)

    def _changed(self, task: Task) -> None:
        if task.is_withdrawn:
            self._on_withdrawn(task.id)
        if task.has_ended:
            self._started.discard(task.id)
        self._on_change()
