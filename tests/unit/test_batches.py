"""Events of a task in any order in, its state out; sessions in, the run and item whose results they are."""

from __future__ import annotations

from itertools import permutations

import pytest

from pipeline.batches import SILENT, Board, Task, item_records, item_session, place_of
from topics.messages import Ask, AsrChunk, End
from topics.tasks import (
    TaskCancelled,
    TaskCreated,
    TaskFailed,
    TaskFinished,
    TaskPaused,
    TaskProgress,
    TaskPublished,
    TaskPublishing,
    TaskRecord,
    TaskStarted,
    key_of,
    task_of,
)

pytestmark = pytest.mark.unit

CREATED = TaskCreated(name="n", created_at=10.0, total=4)
STARTED, PROGRESS = TaskStarted(at=11.0), TaskProgress(completed=1, failed=1, at=12.0)
FINISHED = TaskFinished(completed=3, failed=1, at=13.0)
FAILED, CANCELLED = TaskFailed(error="gone", at=14.0), TaskCancelled(at=15.0)


def task(*records: TaskRecord) -> Task:
    state = Task("t")
    for record in records:
        state = state.take(record)
    return state


@pytest.mark.parametrize(
    ("records", "status"),
    [
        ([CREATED], "pending"),
        ([CREATED, TaskPublished(total=4, at=11.0)], "pending"),
        ([CREATED, STARTED], "running"),
        ([CREATED, PROGRESS], "running"),
        ([CREATED, STARTED, PROGRESS, FINISHED], "completed"),
        ([CREATED, FINISHED, FAILED], "failed"),
        ([CREATED, FINISHED, FAILED, CANCELLED], "cancelled"),
    ],
)
def test_a_status_is_the_same_in_whatever_order_the_kinds_are_read(records: list[TaskRecord], status: str) -> None:
    assert {task(*order).status for order in permutations(records)} == {status}


def test_of_one_kind_the_last_event_counts() -> None:
    paused, resumed = TaskPaused(paused=True, at=1.0), TaskPaused(paused=False, at=2.0)
    assert task(CREATED, paused).is_paused
    assert not task(CREATED, paused, resumed).is_paused
    assert not task(CREATED, paused, CANCELLED).is_paused


def test_progress_counts_what_ended_of_all_items() -> None:
    assert task(CREATED, PROGRESS).progress() == {"total": 4, "completed": 1, "failed": 1, "percentage": 50.0}
    assert task(CREATED, PROGRESS, FINISHED).progress()["percentage"] == 100.0
    assert task(CREATED).progress()["percentage"] == 0.0


def test_an_upload_has_as_many_items_as_are_written_until_the_last_is_known() -> None:
    upload = task(TaskCreated(name="n", created_at=1.0), TaskPublishing(count=7, at=2.0))
    assert (upload.total, upload.progress()["total"]) == (None, 7)
    assert upload.take(TaskPublished(total=9, at=3.0)).total == 9


def test_a_task_is_abandoned_when_who_writes_its_items_is_silent() -> None:
    assert not task(CREATED).is_abandoned(10.0 + SILENT)
    assert task(CREATED).is_abandoned(10.1 + SILENT)
    writing = task(CREATED, TaskPublishing(count=1, at=20.0))
    assert not writing.is_abandoned(20.0 + SILENT)
    assert writing.is_abandoned(20.1 + SILENT)
    assert not writing.take(TaskPublished(total=4, at=21.0)).is_abandoned(1e9)
    assert not writing.take(CANCELLED).is_abandoned(1e9)


@pytest.mark.parametrize(("value", "priority"), [(5, 5.0), (-1.5, -1.5), ("high", 0.0), (True, 0.0), (None, 0.0)])
def test_a_priority_that_is_no_number_is_none(value: object, priority: float) -> None:
    assert task(TaskCreated(name="n", created_at=1.0, options={"priority": value})).priority == priority


def test_a_board_shows_tasks_whose_creation_is_known_newest_first() -> None:
    board = Board()
    board.take("a", CREATED)
    board.take("b", TaskCreated(name="later", created_at=20.0))
    board.take("c", CANCELLED)
    assert [found.id for found in board] == ["b", "a"]
    assert board.get("c") is None
    assert board.take("c", CREATED).status == "cancelled"


def test_the_key_of_an_event_names_its_task_and_kind() -> None:
    assert key_of("a/b", CREATED) == b"a/b/created"
    assert task_of(key_of("a/b", CREATED)) == "a/b"


@pytest.mark.parametrize(
    ("session", "run", "item"),
    [
        (item_session("t", 3), "t", 3),
        ("night/call-7", "night", None),
        ("a/b/4", "a/b", 4),
        ("call", "call", None),
        ("4.19", "unkeyed", None),
        ("t/٣", "t", None),
        ("t/9999999999", "t", None),
    ],
)
def test_a_session_belongs_to_a_run(session: str, run: str, item: int | None) -> None:
    assert place_of(session) == (run, item)


def test_a_text_is_asked_or_spoken_and_a_blank_one_always_asked() -> None:
    assert item_records("How much?", "query") == [Ask(text="How much?", id="ask")]
    assert item_records("Hello. How much?", "detect") == [AsrChunk(text="Hello. How much?", id="text"), End()]
    assert item_records(" ", "detect") == [Ask(text=" ", id="ask")]
