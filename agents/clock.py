"""A stage's sense of time: whether its process stood still, what time it is on a partition, and its logic's timers."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from agents.assignment import Assignment, Gone

if TYPE_CHECKING:
    from agents.runtime import Stage

log = logging.getLogger(__name__)


class Clock:
    """Beats while the event loop runs.

    Attributes:
        frozen_after: seconds without a beat after which the group may have given our partitions away.
        interval: seconds between two beats.
    """

    def __init__(self, stage: Stage, frozen_after: float, interval: float = 0.1) -> None:
        self.stage, self.frozen_after, self.interval = stage, frozen_after, interval
        self._beat = 0.0

    def was_frozen(self) -> bool:
        """After SIGSTOP or a closed lid we go on in the middle of a handler, and our partitions may long be another's.

        Nothing new is begun before a commit was accepted again. It would be correct without this, by the epoch; but
        the provider would be asked in vain.
        """
        now = time.monotonic()
        if now - self._beat <= self.frozen_after:
            return False
        log.warning("stood still for %.1f s: partitions are taken over anew", now - self._beat)
        self._beat = now
        self.stage.app.consumer.forget_all()
        return True

    def start(self) -> asyncio.Task[None]:
        """Begin to beat."""
        self._beat = time.monotonic()
        return asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self.interval)
            if self.was_frozen():
                continue
            self._beat = time.monotonic()
            if self.stage.feeding and self.stage.logic.has_timers:
                await self._run_timers()

    async def _run_timers(self) -> None:
        stage = self.stage
        async with stage.turn:
            for assignment in list(stage.app.consumer.assignments.values()):
                if not (stage.feeding and assignment.ready):
                    continue
                try:
                    await stage.logic.tick(assignment, self.of(assignment))
                except Gone:
                    continue
                except Exception as exc:  # noqa: BLE001 - the edge of the stage
                    stage.fail(exc)

    def of(self, assignment: Assignment) -> float:
        """A partition's clock: the highest record time taken, and the time passed since where nothing more is read.

        That is at the end of the log, or when so much is open that what stands behind it has no room: else the silence
        that would end it would never come.
        """
        stage, consumer = self.stage, self.stage.app.consumer
        waits = consumer.caught_up(assignment) or not (stage.undelivered or consumer.has_room(assignment))
        return assignment.clock + (time.monotonic() - assignment.touched if waits else 0.0)
