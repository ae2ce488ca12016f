"""Events of batch tasks: one record a kind under `task/kind`, each with its full content, as their topic is compacted.

Kinds may be read in any order. Times are seconds since 1970, UTC.
"""

from __future__ import annotations

from typing import Any, Literal

from topics.messages import Record

TaskMode = Literal["query", "detect"]


class TaskCreated(Record, tag="created", frozen=True, kw_only=True):
    """What was asked for.

    `total` is None as long as nobody knows, as with an upload or a replay. `request` is a digest of what was submitted
    under an idempotency key. `origin` says where the items come from, in words; `range` holds what was given of the
    `pipeline.replays.Range` of a replay.
    """

    name: str
    created_at: float
    description: str = ""
    total: int | None = None
    mode: TaskMode = "query"
    options: dict[str, Any] = {}
    request: str = ""
    origin: str = "texts"
    principal: str = ""
    range: dict[str, Any] = {}


class TaskPublishing(Record, tag="publishing", frozen=True, kw_only=True):
    """Items are being written to the transcripts: so many by then. Who stays silent for long is taken for dead."""

    count: int
    at: float


class TaskPublished(Record, tag="published", frozen=True, kw_only=True):
    """Every item stands in the transcripts."""

    total: int
    at: float


class TaskStarted(Record, tag="started", frozen=True, kw_only=True):
    """A worker took the first item."""

    at: float


class TaskPaused(Record, tag="paused", frozen=True, kw_only=True):
    """No item is begun while `paused`."""

    paused: bool
    at: float


class TaskProgress(Record, tag="progress", frozen=True, kw_only=True):
    """Items with a result, by how they ended."""

    completed: int
    failed: int
    at: float


class TaskFinished(Record, tag="finished", frozen=True, kw_only=True):
    """Every item has its result; `at` is the time of the last one."""

    completed: int
    failed: int
    at: float


class TaskFailed(Record, tag="failed", frozen=True, kw_only=True):
    """The task cannot go on."""

    error: str
    at: float


class TaskCancelled(Record, tag="cancelled", frozen=True, kw_only=True):
    """Somebody does not want it any more."""

    at: float


TaskRecord = (
    TaskCreated
    | TaskPublishing
    | TaskPublished
    | TaskStarted
    | TaskPaused
    | TaskProgress
    | TaskFinished
    | TaskFailed
    | TaskCancelled
)


def kind_of(record: TaskRecord) -> str:
    """Kind of an event, as in its key.

    >>> kind_of(TaskCancelled(at=1.0))
    'cancelled'
    """
    return str(type(record).__struct_config__.tag)


def key_of(task: str, record: TaskRecord) -> bytes:
    """Key of an event.

    >>> key_of("t1", TaskStarted(at=1.0))
    b't1/started'
    """
    return f"{task}/{kind_of(record)}".encode()


def task_of(key: bytes | None) -> str:
    """Task of an event's key; empty where there is none.

    >>> task_of(b"a/b/started"), task_of(None)
    ('a/b', '')
    """
    return (key or b"").decode("utf-8", "replace").rpartition("/")[0]
