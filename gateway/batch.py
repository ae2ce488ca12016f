"""Batch tasks as the gateway's clients have them: submit, look, read results, hold, cancel."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from gateway.auth import ANYBODY
from gateway.frames import MAX_SESSION
from gateway.problems import Problem
from gateway.results import Results
from gateway.tasks import Tasks
from gateway.writing import Writing, each
from pipeline.batches import Status, Task
from pipeline.settings import Settings
from pipeline.texts import TextsError
from topics.tasks import TaskCancelled, TaskCreated, TaskMode, TaskPaused

MAX_TEXTS = 10_000
MAX_TEXT = 100_000  # characters; a record holds the text and its answer
RETRY_AFTER = 5  # seconds
QUIET = 10.0  # seconds after which a repeated request goes on where another gateway has fallen silent
_NAMESPACE = uuid.UUID("0b6f6f3e-6c6b-4d0e-9d7c-2f2b1c7a9a10")

Text = Annotated[str, Field(max_length=MAX_TEXT)]


class Options(BaseModel):
    """What is wanted of the answers; what is not named here goes to the provider as it is."""

    model_config = ConfigDict(extra="allow")

    mode: TaskMode = Field("query", description="query: each text is asked; detect: questions are looked for in it")
    provider: str | None = Field(None, max_length=100)
    priority: float = Field(0, description="higher goes first")
    max_concurrent: int | None = Field(None, ge=1, description="items that one worker answers at once")
    session_id: str | None = Field(None, min_length=1, max_length=MAX_SESSION, description="who gets batch_progress")


class Submission(BaseModel):
    """Texts to be answered, each on its own."""

    name: str = Field(min_length=1, max_length=100)
    texts: list[Text] = Field(min_length=1, max_length=MAX_TEXTS)
    description: str = Field("", max_length=500)
    options: Options = Field(default_factory=lambda: Options.model_validate({}))


class Upload(BaseModel):
    """What an upload is to be."""

    name: str = Field("upload", min_length=1, max_length=100)
    description: str = Field("", max_length=500)
    options: Options = Field(default_factory=lambda: Options.model_validate({}))


def moment(seconds: float | None) -> str | None:
    """A time as clients read it.

    >>> moment(0.5)
    '1970-01-01T00:00:00.500Z'
    """
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def shown(task: Task) -> dict[str, Any]:
    """A task as clients read it."""
    created = task.created
    assert created is not None
    return {
        "task_id": task.id,
        "name": created.name,
        "description": created.description,
        "status": task.status,
        "paused": task.is_paused,
        "progress": task.progress(),
        "created_at": moment(created.created_at),
        "started_at": moment(task.started_at),
        "completed_at": moment(task.ended_at),
        "error_message": task.error,
        "origin": created.origin,
        "options": {"mode": created.mode, **created.options},
    }


def accepted(task: Task) -> dict[str, Any]:
    """What one hears who submitted a task."""
    told = shown(task)
    return {"task_id": task.id, "status": task.status, "created_at": told["created_at"], "total_items": task.total}


class Batch:
    """What the calls do.

    Attributes:
        listeners: by session, who is told of each change of a task whose `options.session_id` it is.
    """

    def __init__(self, settings: Settings, tasks: Tasks, results: Results, writing: Writing) -> None:
        self.settings, self.tasks, self.results, self.writing = settings, tasks, results, writing
        self.listeners: dict[str, set[Callable[[Task], None]]] = {}
        self._creating: set[str] = set()
        tasks.log.on_change = self._changed

    def _changed(self, task: Task) -> None:
        for tell in tuple(self.listeners.get(str(task.options.get("session_id")), ())):
            tell(task)

    def check_enabled(self) -> None:
        """Raise Problem 503 where batch tasks cannot be had."""
        if not self.settings.batch_enabled:
            raise Problem(503, "BATCH_DISABLED", "batch tasks are switched off here (BATCH_ENABLED=false)")
        if self.tasks.trouble:
            raise Problem(503, "SERVICE_UNAVAILABLE", self.tasks.trouble)

    async def submit(self, asked: Submission, principal: str, key: str | None) -> Task:
        """Create a task and begin to write its texts; the same again under the same key is the same task.

        Raises:
            Problem: 429, too many tasks wait; 422, the key was used for something else; 503.
        """
        options = asked.options.model_dump(exclude_unset=True, exclude={"mode"})
        created = TaskCreated(
            name=asked.name,
            description=asked.description,
            created_at=time.time(),
            total=len(asked.texts),
            mode=asked.options.mode,
            options=options,
            request=hashlib.sha256(msgspec.json.encode(asked.model_dump())).hexdigest() if key else "",
            principal="" if principal == ANYBODY else principal,
        )
        task = await self.create(created, principal, key)
        if not (task.has_ended or "published" in task.events or task.id in self.writing) and _is_quiet(task, created):
            self.writing.begin(task.id, each(asked.texts), task.mode)
        return task

    async def upload(self, asked: Upload, principal: str, texts: AsyncIterator[str]) -> Task:
        """Create a task and write its texts as they come; gives it when the last one is stored.

        Raises:
            Problem: 422, the texts cannot be read; 429; 503, they cannot be stored. The task has failed then.
        """
        created = TaskCreated(
            name=asked.name,
            description=asked.description,
            created_at=time.time(),
            mode=asked.options.mode,
            options=asked.options.model_dump(exclude_unset=True, exclude={"mode"}),
            origin="upload",
            principal="" if principal == ANYBODY else principal,
        )
        task = await self.create(created, principal, None)
        try:
            await self.writing.write(task.id, texts, task.mode)
        except TextsError as exc:
            raise Problem(422, "INVALID_REQUEST", str(exc), task_id=task.id) from exc
        task = await self.get(task.id, principal)
        if task.status == "failed":
            raise Problem(503, "BATCH_TASK_FAILED", task.error or "the task failed", task_id=task.id)
        return task

    async def create(self, created: TaskCreated, principal: str, key: str | None) -> Task:
        """A new task, or the one that this key made."""
        name = str(uuid.uuid5(_NAMESPACE, f"{principal}/{key}") if key else uuid.uuid4())
        if key and (known := await self._known(name)):
            if known.created is None or known.created.request != created.request:
                raise Problem(422, "INVALID_REQUEST", "Idempotency-Key: was used for another request")
            return known
        return await self.create_named(name, created, principal)

    async def check_unused(self, run: str) -> None:
        """Raise Problem 409 where a run has a task or results."""
        if await self._known(run) or (await self.results.answers(run, 0, 1))[1]:
            raise Problem(409, "RUN_EXISTS", f"there is a run {run!r} already; choose another name")

    async def create_named(self, name: str, created: TaskCreated, principal: str) -> Task:
        """A new task of this name; raises Problem 429 where too many wait."""
        if self._waiting() >= self.settings.batch_max_queue_size:
            detail = f"{self.settings.batch_max_queue_size} tasks wait or run (BATCH_MAX_QUEUE_SIZE); try again later"
            raise Problem(429, "BATCH_QUEUE_FULL", detail, retry_after=RETRY_AFTER)
        self._creating.add(name)
        try:
            await self.tasks.tell(name, created)
        finally:
            self._creating.discard(name)
        return await self.get(name, principal)

    def _waiting(self) -> int:
        waiting = {task.id for task in self.tasks.board if not task.has_ended}
        return len(waiting | self._creating)

    async def _known(self, name: str) -> Task | None:
        """A task, also one that another gateway has just made."""
        if (found := self.tasks.board.get(name)) is None:
            await self.tasks.fresh()
            found = self.tasks.board.get(name)
        return found

    async def get(self, name: str, principal: str) -> Task:
        """A task of the caller; raises Problem 404."""
        found = await self._known(name)
        if found is None or not is_visible(found, principal):
            raise Problem(404, "BATCH_TASK_NOT_FOUND", f"there is no task {name[:100]!r}")
        return found

    async def change(self, name: str, principal: str, record: TaskPaused | TaskCancelled) -> Task:
        """Tell an event of a task that has not ended; raises Problem 404, 409."""
        task = await self.get(name, principal)
        if task.has_ended:
            raise Problem(409, "TASK_ENDED", f"the task is {task.status} already")
        await self.tasks.tell(name, record)
        return await self.get(name, principal)

    def listed(self, principal: str, status: Status | None) -> list[Task]:
        """The caller's tasks, newest first."""
        mine = [task for task in self.tasks.board if is_visible(task, principal)]
        return [task for task in mine if status is None or task.status == status]

    async def found(self, task: Task, number: int, size: int) -> dict[str, Any]:
        """One page of a task's results."""
        if task.created is not None and task.created.origin == "replay":
            results, total = await self.results.answers(task.id, (number - 1) * size, size)
        else:
            total = task.progress()["total"]
            missing = "cancelled" if task.is_withdrawn else "pending"
            results = await self.results.items(task.id, page(number, size, total), missing)
        told = {"task_id": task.id, "status": task.status, "results": results}
        return told | {"total": total, "page": number, "size": size}

    def state(self) -> dict[str, Any]:
        """How full the queue is."""
        statuses = [task.status for task in self.tasks.board]
        pending, running = statuses.count("pending"), statuses.count("running")
        most = self.settings.batch_max_queue_size
        slots = {"max_size": most, "available_slots": max(0, most - pending - running)}
        return {
            "is_running": self.tasks.trouble is None,
            "max_concurrent": self.settings.batch_max_concurrent,
            "queue": {"total_tasks": len(statuses), "pending": pending, "running": running, **slots},
        }


def page(number: int, size: int, total: int) -> range:
    """Items of one page; the first is 1, and one past the end is empty.

    >>> page(2, 100, 150), page(3, 100, 150)
    (range(100, 150), range(150, 150))
    """
    return range(min((number - 1) * size, total), min(number * size, total))


def is_visible(task: Task, principal: str) -> bool:
    """Whether a task is the caller's; without keys everybody's."""
    owner = task.created.principal if task.created else ""
    return principal == ANYBODY or owner in ("", principal)


def _is_quiet(task: Task, created: TaskCreated) -> bool:
    """Whether nobody writes the texts of a task that is asked for again; of a new one nobody does."""
    assert task.created is not None
    publishing = task.events.get("publishing")
    last = publishing.at if publishing else task.created.created_at
    return task.created.created_at == created.created_at or created.created_at - last > QUIET
