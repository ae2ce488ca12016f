"""The checker of batch runs finds every violation that is planted in the evidence of a clean run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from tests.chaos.batch_checker import VIOLATIONS, check_batch
from tests.chaos.evidence import Call, Commit, Entry, Event, Evidence, Fault
from tests.chaos.report import batch_report
from tests.chaos.schedule import BATCH, FROM, TO, draw_batch

pytestmark = pytest.mark.unit

TEXTS = ["What is number 0?", "What is number 1?"]


def event(what: str, time: float, **data: Any) -> Event:
    return Event("customer", "t", time, what, data)


def told_of_task(time: float, completed: int, status: str = "running") -> Event:
    progress = {"total": 2, "completed": completed, "failed": 0}
    return event("task", time, task_id="t", status=status, progress=progress)


def item(index: int, **fields: Any) -> Event:
    content = f"Answer 1 to: {TEXTS[index]}"
    return event(
        "item", 9.0, **{"index": index, "text": TEXTS[index], "status": "completed", "content": content} | fields
    )


def row(index: int) -> Event:
    return event("row", 9.0, metadata={"session_id": f"t/{index}"})


def river(index: int) -> list[Entry]:
    """What came of an item on all topics; every stage takes a second for it."""
    stamps = {"rag-source": f"{index}.0", "rag-epoch": "1"}
    values: dict[str, dict[str, Any]] = {
        "transcripts": {"type": "ask", "text": TEXTS[index], "id": "ask"},
        "sentences": {"type": "ask", "text": TEXTS[index]},
        "questions": {"type": "question", "text": TEXTS[index]},
        "answers": {"type": "done", "attempt": 100, "index": 0, "why": "ok", "text": "Answer."},
    }
    return [
        Entry(topic, 0, index, 1.0 + index + at, f"t/{index}", stamps if at else {}, value)
        for at, (topic, value) in enumerate(values.items())
    ]


def clean() -> Evidence:
    """A run in which all went well."""
    told = [event("submitted", 0.5, task_id="t"), told_of_task(4.5, 1), told_of_task(5.5, 2, "completed")]
    events = [*told, item(0), item(1), row(0), row(1)]
    commits = [Commit(stage, 0, 2, 9.0) for stage in ("sentences", "questions", "answers")]
    return Evidence([*river(0), *river(1)], commits, events, [], [Call(text, 1, "answered") for text in TEXTS])


def found(evidence: Evidence) -> dict[str, int]:
    return {name: count for name, count in check_batch(evidence, TEXTS).counts.items() if count}


def test_a_clean_run_has_no_violation() -> None:
    assert check_batch(clean(), TEXTS).notes == []
    assert set(check_batch(clean(), TEXTS).counts) == set(VIOLATIONS)


PLANTED: dict[str, tuple[Callable[[list[Event]], list[Event]], dict[str, int]]] = {
    "an item is not in the results": (lambda events: [e for e in events if e != item(1)], {"lost": 1}),
    "an item waits for ever": (
        lambda events: [e if e != item(1) else item(1, status="pending") for e in events],
        {"lost": 1},
    ),
    "the task does not end": (
        lambda events: [e for e in events if e.data.get("status") != "completed" or e.what != "task"],
        {"lost": 1},
    ),
    "an item has two results": (lambda events: [*events, item(1)], {"twice": 1}),
    "an item has two rows": (lambda events: [*events, row(1)], {"twice": 1}),
    "more are counted than there are": (lambda events: [*events, told_of_task(6.0, 3, "completed")], {"twice": 1}),
    "a repeated submission makes another task": (
        lambda events: [*events, event("submitted", 3.0, task_id="u")],
        {"twice": 1},
    ),
    "an item has the answer of another": (
        lambda events: [e if e != item(1) else item(1, content="Answer 1 to: What is number 0?") for e in events],
        {"wrong": 1},
    ),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_what_is_planted_is_found(planted: str) -> None:
    change, violations = PLANTED[planted]
    assert found(dataclasses.replace(clean(), events=change(clean().events))) == violations


def test_a_commit_past_an_item_whose_answer_is_stored_later_is_found() -> None:
    evidence = clean()
    assert evidence.entries[-1].topic == "answers"
    evidence.entries[-1] = evidence.entries[-1]._replace(time=9.5)
    assert found(evidence) == {"early_commits": 1}


def test_figures_say_how_far_the_batch_was_where_somebody_was_killed() -> None:
    evidence = clean()
    evidence.faults = [
        Fault(1.5, "kill_gateway", "gateway-0", []),  # one of two texts written
        Fault(2.5, "kill_worker", "sentences-0", []),  # one sentence cut
        Fault(4.6, "kill_worker", "results-1", []),  # one result told of
        Fault(9.0, "kill_worker", "answers-0", []),  # all is over
    ]
    findings = check_batch(evidence, TEXTS)
    assert [kill["done"] for kill in findings.figures["kills_at"]] == [0.5, 0.5, 0.5, 1.0]
    assert findings.figures["provider_calls_per_item"] == 1.0
    assert batch_report(7, 4, findings).failures == []
    assert batch_report(7, 8, findings).failures == [
        "only 3 of 8 kills came in the middle of work: this run shows too little"
    ]


def test_every_target_is_killed_once_between_a_fifth_and_four_fifths_before_any_is_killed_again() -> None:
    moments = draw_batch(3, 2 * len(BATCH))
    assert moments == draw_batch(3, 2 * len(BATCH))
    assert {moment.target for moment in moments[: len(BATCH)]} == set(BATCH)
    assert all(FROM <= moment.part <= TO for moment in moments)
