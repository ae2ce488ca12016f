"""Batch tasks that one WebSocket client wants to hear of."""

from __future__ import annotations

import asyncio

from gateway.batch import Batch
from gateway.batch_streams import changes
from gateway.frames import SubscribeFrame, ack, error
from gateway.outbox import Outbox
from gateway.problems import Problem
from gateway.updates import dump
from pipeline.delivery import Message

MOST = 64  # tasks of one connection at a time


class Subscriptions:
    """Puts `batch_progress` into the client's outbox, of each task until it ends."""

    def __init__(self, batch: Batch, principal: str, outbox: Outbox) -> None:
        self._batch, self._principal, self._outbox = batch, principal, outbox
        self._watching: dict[str, asyncio.Task[None]] = {}

    async def begin(self, frame: SubscribeFrame, session: str) -> list[Message]:
        """Begin to tell of a task; gives the replies to the frame, behind which the first progress comes."""
        try:
            self._batch.check_enabled()
            await self._batch.get(frame.task_id, self._principal)
        except Problem as problem:
            return [error(session, problem.code, problem.detail, {"field": "task_id"}, frame.id)]
        if frame.task_id not in self._watching:
            if len(self._watching) >= MOST:
                return [error(session, "RATE_LIMITED", f"a connection hears of at most {MOST} tasks", None, frame.id)]
            watching = self._watching[frame.task_id] = asyncio.create_task(self._watch(frame.task_id))
            watching.add_done_callback(lambda _: self._watching.pop(frame.task_id, None))
        return [ack(session, received_type="subscribe", task_id=frame.task_id, id=frame.id)]

    async def _watch(self, task: str) -> None:
        async for told in changes(self._batch, task):
            self._outbox.put(dump(told))

    async def close(self) -> None:
        """Tell nothing more."""
        watching = list(self._watching.values())
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
