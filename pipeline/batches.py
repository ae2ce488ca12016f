"""Batch tasks, pure: events to the state of a task, and answers records to the results of its items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from topics.messages import Ask, AsrChunk, End, Record
from topics.tasks import (
    TaskCreated,
    TaskFailed,
    TaskFinished,
    TaskMode,
    TaskPaused,
    TaskProgress,
    TaskPublished,
    TaskPublishing,
    TaskRecord,
    TaskStarted,
    kind_of,
)

Status = Literal["pending", "running", "completed", "failed", "cancelled"]
SILENT = 30.0  # seconds after which one who writes a task's items, and says nothing, is taken for dead
OURS = {"session_id", "mode", "priority", "max_concurrent", "provider"}  # options that no provider is given


@dataclass(frozen=True)
class Task:
    """One task as its events so far say; the order in which their kinds came makes no difference.

    >>> created = TaskCreated(name="n", created_at=1.0, total=1)
    >>> failed = Task("t").take(TaskFinished(completed=1, failed=0, at=3.0)).take(TaskFailed(error="", at=2.0))
    >>> failed.take(created).status
    'failed'
    """

    id: str
    events: Mapping[str, Any] = field(default_factory=dict)

    def take(self, record: TaskRecord) -> Task:
        """The task after one more event; of each kind the last one counts."""
        return Task(self.id, {**self.events, kind_of(record): record})

    @property
    def created(self) -> TaskCreated | None:
        """What was asked for; None as long as only other events have been read."""
        return self.events.get("created")

    @property
    def options(self) -> dict[str, Any]:
        """What the caller wants of the answers."""
        return self.created.options if self.created else {}

    @property
    def mode(self) -> TaskMode:
        """Whether texts are asked as they are, or questions are looked for in them."""
        return self.created.mode if self.created else "query"

    @property
    def status(self) -> Status:
        """Cancelled wins over failed, and that over finished."""
        for kind, status in _ENDS:
            if kind in self.events:
                return status
        return "running" if self.events.keys() & {"started", "progress"} else "pending"

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes of it."""
        return self.status in ("completed", "failed", "cancelled")

    @property
    def is_withdrawn(self) -> bool:
        """Whether its items are not to be answered any more."""
        return self.status in ("failed", "cancelled")

    @property
    def is_paused(self) -> bool:
        """Whether no item is to be begun."""
        paused: TaskPaused | None = self.events.get("paused")
        return paused is not None and paused.paused and not self.has_ended

    @property
    def total(self) -> int | None:
        """How many items it has; None: not known yet."""
        published: TaskPublished | None = self.events.get("published")
        return published.total if published else self.created.total if self.created else None

    @property
    def counts(self) -> tuple[int, int]:
        """Items completed and failed."""
        last: TaskFinished | TaskProgress | None = self.events.get("finished") or self.events.get("progress")
        return (last.completed, last.failed) if last else (0, 0)

    @property
    def started_at(self) -> float | None:
        """When its first item was taken."""
        started: TaskStarted | None = self.events.get("started")
        return started.at if started else None

    @property
    def ended_at(self) -> float | None:
        """When it ended, however."""
        return next((self.events[kind].at for kind, _ in _ENDS if kind in self.events), None)

    @property
    def error(self) -> str | None:
        """Why it failed."""
        failed: TaskFailed | None = self.events.get("failed")
        return failed.error if failed else None

    @property
    def priority(self) -> float:
        """Higher goes first; 0 where nothing sensible is said."""
        return _number(self.options.get("priority"), 0.0)

    @property
    def width(self) -> float:
        """How many of its items one worker may answer at once."""
        return max(1.0, _number(self.options.get("max_concurrent"), float("inf")))

    def is_abandoned(self, now: float) -> bool:
        """Whether the one who wrote its items died before the last."""
        if self.created is None or self.has_ended or "published" in self.events:
            return False
        publishing: TaskPublishing | None = self.events.get("publishing")
        return now - (publishing.at if publishing else self.created.created_at) > SILENT

    def progress(self) -> dict[str, Any]:
        """What clients are told."""
        completed, failed = self.counts
        total = self.total if self.total is not None else self.written
        percentage = 100.0 if not total else round(100 * (completed + failed) / total, 1)
        return {"total": total, "completed": completed, "failed": failed, "percentage": percentage}

    @property
    def written(self) -> int:
        """How many items are known to stand in the transcripts."""
        publishing: TaskPublishing | None = self.events.get("publishing")
        return publishing.count if publishing else 0


_ENDS: tuple[tuple[str, Status], ...] = (("cancelled", "cancelled"), ("failed", "failed"), ("finished", "completed"))


def _number(value: Any, default: float) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else default


class Board:
    """Every task, as the events read so far say."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}

    def take(self, task: str, record: TaskRecord) -> Task:
        """Take one event in; gives the task after it."""
        self.tasks[task] = taken = self.tasks.get(task, Task(task)).take(record)
        return taken

    def forget(self, task: str, kind: str) -> None:
        """Take an event back that was deleted from the topic."""
        if found := self.tasks.get(task):
            self.tasks[task] = Task(task, {name: event for name, event in found.events.items() if name != kind})

    def get(self, task: str) -> Task | None:
        """A task whose creation is known."""
        found = self.tasks.get(task)
        return found if found and found.created else None

    def __iter__(self) -> Iterator[Task]:
        """Those whose creation is known, newest first."""
        known = [(task.created.created_at, task.id, task) for task in self.tasks.values() if task.created]
        return (task for _, _, task in sorted(known, key=lambda entry: entry[:2], reverse=True))


class Place(NamedTuple):
    """Run of a session, and which item of it; None: no item of a task."""

    run: str
    item: int | None


UNKEYED = "unkeyed"  # the run of records that came without a key


def place_of(session: str) -> Place:
    """Where the results of a session belong.

    >>> place_of("t1/12"), place_of("call-7")
    (Place(run='t1', item=12), Place(run='call-7', item=None))
    >>> place_of("night/call-7").run, place_of("3.17").run
    ('night', 'unkeyed')
    """
    run, slash, last = session.rpartition("/")
    if not slash:
        partition, dot, offset = session.partition(".")
        return Place(UNKEYED if dot and partition.isdecimal() and offset.isdecimal() else session, None)
    return Place(run, int(last) if last.isascii() and last.isdecimal() and len(last) < 10 else None)


def item_session(task: str, item: int) -> str:
    """Session of an item.

    >>> item_session("t1", 12)
    't1/12'
    """
    return f"{task}/{item}"


def item_records(text: str, mode: TaskMode) -> Iterable[Record]:
    """What is written to the transcripts for one text; written again, its ids say that it is the same.

    A blank text is asked in any mode: so it fails in its place.
    """
    if mode == "query" or not text.strip():
        return [Ask(text=text, id="ask")]
    return [AsrChunk(text=text, id="text"), End()]
