"""Lanes: records of one session run in order, many sessions at once, on a bounded number of tasks."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Collection
from typing import TYPE_CHECKING

from agents.alone import guarded, is_suspicious
from agents.assignment import Assignment, Gone
from agents.metrics import handler_seconds
from agents.ready import Ready
from agents.unit import Unit

if TYPE_CHECKING:
    from agents.runtime import Stage

_Key = tuple[Assignment, str]


class Lanes:
    """Up to `concurrency` handlers at once."""

    def __init__(self, stage: Stage, concurrency: int) -> None:
        self.stage, self.concurrency = stage, concurrency
        self._seconds = handler_seconds.labels(stage.logic.name)
        self._lanes: dict[_Key, deque[Unit]] = {}
        self._ready: Ready[deque[Unit]] = Ready(self._choose)  # lanes with records and no running handler
        self._workers: dict[asyncio.Task[None], Unit | None] = {}

    @property
    def running(self) -> int:
        """Number of running handlers."""
        return len(self._workers)

    def push(self, unit: Unit) -> None:
        """Queue a record behind those of its session."""
        key = (unit.assignment, unit.session)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = deque()
            self._ready.append(lane, self.stage.logic.group(unit.session))
        lane.append(unit)

    def spawn(self) -> None:
        """Start as many workers as there are lanes to serve and the bound allows."""
        free = min(self._width() - len(self._workers), len(self._ready)) if self.stage.feeding else 0
        for _ in range(free):
            if self._ready.next_group() is None:
                return
            task = asyncio.get_running_loop().create_task(self._work())
            self._workers[task] = None
            task.add_done_callback(self._worker_done)

    def is_held(self) -> bool:
        """Whether records wait, and none of them for us: the logic holds their groups."""
        return len(self._ready) > 0 and not self._workers and self._ready.next_group() is None

    def _choose(self, groups: Collection[str]) -> str | None:
        logic = self.stage.logic
        return logic.choose(groups, [logic.group(unit.session) for unit in self._workers.values() if unit is not None])

    def _width(self) -> int:
        """One as long as a record is looked for that kills its process."""
        return 1 if is_suspicious(self.stage) else self.concurrency

    async def _work(self) -> None:
        me = asyncio.current_task()
        assert me is not None
        while self._may_go_on() and (lane := self._ready.pop()) is not None:
            unit = self._workers[me] = lane.popleft()
            try:
                await self._handle(unit)
            finally:
                self._workers[me] = None
                self._put_back(lane, (unit.assignment, unit.session))

    def _may_go_on(self) -> bool:
        may = self._ready and self.stage.feeding and len(self._workers) <= self._width()
        return bool(may) and not self.stage.clock.was_frozen()

    async def _handle(self, unit: Unit) -> None:
        stage = self.stage
        try:
            await stage.until(lambda: stage.undelivered < stage.max_undelivered)
            began = time.perf_counter()
            await guarded(stage, unit, stage.logic.handle)
            self._seconds.observe(time.perf_counter() - began)
            unit.release()
        except Gone:
            pass
        except Exception as exc:  # noqa: BLE001 - the edge of the stage
            await self._give_up(unit, exc)

    async def _give_up(self, unit: Unit, exc: Exception) -> None:
        try:
            await self.stage.give_up(unit, f"{type(exc).__name__}: {exc}")
            unit.release()
        except Gone:
            pass
        except Exception as fatal:  # noqa: BLE001 - it can be neither handled nor buried: stop without committing it
            self.stage.fail(fatal)

    def _put_back(self, lane: deque[Unit], key: _Key) -> None:
        if self._lanes.get(key) is not lane:  # dropped with its assignment
            return
        if lane:
            self._ready.append(lane, self.stage.logic.group(key[1]))
        else:
            del self._lanes[key]

    def _worker_done(self, task: asyncio.Task[None]) -> None:
        del self._workers[task]
        self.spawn()
        self.stage.changed()

    def drop_dead(self) -> None:
        """Cancel and forget what belongs to dead assignments; their new owner reads it again."""
        for task, unit in self._workers.items():
            if unit is not None and unit.assignment.dead:
                task.cancel()
        for key in [key for key in self._lanes if key[0].dead]:
            del self._lanes[key]
        self._ready.keep(lambda lane: not lane[0].assignment.dead)

    async def cancel(self) -> None:
        """Cancel every running handler."""
        tasks = list(self._workers)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
