"""Batch tasks that one WebSocket client hears of: those it subscribed to, and those that name a session of it."""

from __future__ import annotations

import asyncio

from gateway.batch import Batch, is_visible
from gateway.batch_streams import changes
from gateway.frames import SubscribeFrame, ack, error
from gateway.outbox import Outbox
from gateway.problems import Problem
from gateway.updates import dump
from pipeline.batches import Task
from pipeline.delivery import Message

MOST = 64  # tasks of one connection at a time


class Subscriptions:
    """Puts `batch_progress` into the client's outbox, of each task until it ends."""

    def __init__(self, batch: Batch, principal: str, outbox: Outbox) -> None:
        self._batch, self._principal, self._outbox = batch, principal, outbox
        self._watching: dict[str, asyncio.Task[None]] = {}
        self._ended: set[str] = set()
        self._sessions: set[str] = set()

    def join(self, session: str) -> None:
        """From now on tell of every task whose `options.session_id` is this session."""
        self._sessions.add(session)
        self._batch.listeners.setdefault(session, set()).add(self._hear)
        for task in self._batch.tasks.board:
            if task.options.get("session_id") == session and not task.has_ended:
                self._hear(task)

    async def begin(self, frame: SubscribeFrame, session: str) -> list[Message]:
        """Begin to tell of a task; gives the replies to the frame, behind which the first progress comes."""
        try:
            self._batch.check_enabled()
            await self._batch.get(frame.task_id, self._principal)
        except Problem as problem:
            return [error(session, problem.code, problem.detail, {"field": "task_id"}, frame.id)]
        if frame.task_id not in self._watching and len(self._watching) >= MOST:
            return [error(session, "RATE_LIMITED", f"a connection hears of at most {MOST} tasks", None, frame.id)]
        self._follow(frame.task_id, session)
        return [ack(session, received_type="subscribe", task_id=frame.task_id, id=frame.id)]

    def _hear(self, task: Task) -> None:
        """A task that names a session of ours changed; those of other callers are none of ours."""
        session = str(task.options["session_id"])
        if is_visible(task, self._principal) and task.id not in self._ended and len(self._watching) < MOST:
            self._follow(task.id, session)

    def _follow(self, task: str, session: str) -> None:
        if task not in self._watching:
            watching = self._watching[task] = asyncio.create_task(self._watch(task, session))
            watching.add_done_callback(lambda _: self._watching.pop(task, None))

    async def _watch(self, task: str, session: str) -> None:
        async for told in changes(self._batch, task):
            self._outbox.put(dump({"session_id": session} | told))
        self._ended.add(task)

    async def close(self) -> None:
        """Tell nothing more."""
        for session in self._sessions:
            listeners = self._batch.listeners[session]
            listeners.discard(self._hear)
            if not listeners:
                del self._batch.listeners[session]
        watching = list(self._watching.values())
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
