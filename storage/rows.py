"""Answers records to rows and rows to the results of items, pure; what a row means stands in `tables`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import msgspec

from pipeline.batches import Place, place_of
from topics.messages import AnswerRecord, Done, Ended, Verdict
from topics.sources import Source

Row = dict[str, Any]
REDRIVEN = "redriven"  # status of a failure whose dead letter was sent again: what came of that counts instead
_DETAILS = ("found", "provider", "sources", "usage", "timings")
_ORIGINS = ("replay_of", "redrive_of")


class Answered(NamedTuple):
    """One record of the bulk lane's answers with its place; `at` is its record time, seconds since 1970.

    `replay_of` is the public id that it had live, where it comes of a replay; `redrive_of` that of the failure whose
    dead letter was sent again and led to it.
    """

    session: str
    source: Source
    partition: int
    at: float
    record: AnswerRecord
    replay_of: str = ""
    redrive_of: str = ""


class Text(NamedTuple):
    """What was submitted as an item."""

    run: str
    item: int
    text: str


def row_of(answered: Answered) -> Row | None:
    """The row of one record, as if it were the first of its session; None for a record that is no result."""
    place, record = place_of(answered.session), answered.record
    told: Row
    match record:
        case Done():
            status = {"ok": "completed", "error": "failed", "expired": "failed"}.get(record.why, "cancelled")
            details = {name: getattr(record, name) for name in _DETAILS}
            told = {"question": record.question, "content": record.text, "error": record.error, "details": details}
        case Verdict(kind="failed"):
            status, told = "failed", {"question": None, "content": "", "error": record.reason, "details": {}}
        case Ended():
            status, told = "completed", {"question": None, "content": "", "error": "", "details": {}}
        case _:
            return None
    for name in _ORIGINS:
        if origin := getattr(answered, name):
            told["details"][name] = storable(origin)
    told |= {name: storable(told[name]) for name in ("question", "content", "error")}
    return {
        "session": storable(answered.session),
        "source_offset": answered.source.offset,
        "source_char": answered.source.char,
        "run": storable(place.run),
        "item": place.item,
        "status": status,
        "item_status": status if _completes(place, answered.source, record) else None,
        **told,
        "partition": answered.partition,
        "answered_at": answered.at,
    }


def storable(text: Any) -> Any:
    """A text without NUL, which PostgreSQL cannot hold."""
    return text.replace("\0", "\ufffd") if isinstance(text, str) else text


def _completes(place: Place, source: Source, record: AnswerRecord) -> bool:
    """An end completes its session; what was asked as it is (character 0) completes the item that it is."""
    return isinstance(record, Ended) or (place.item is not None and source.char == 0)


class Known(NamedTuple):
    """What is known of a session: whether a row completes it, and whether one failed."""

    completed: bool = False
    failed: bool = False


def settle(rows: Iterable[Row], known: Mapping[str, Known]) -> list[Row]:
    """Rows in the order of the log with the item's status right: a session is completed once, and fails with a part.

    >>> from topics.sources import Source
    >>> failed = row_of(Answered("t/0", Source(4, 9), 0, 1.0, Verdict(kind="failed")))
    >>> ended = row_of(Answered("t/0", Source(5, 0), 0, 1.0, Ended()))
    >>> [row["item_status"] for row in settle([failed, ended, ended], {})]
    [None, 'failed', None]
    """
    state, settled = dict(known), []
    for row in rows:
        before = state.get(row["session"], Known())
        if row["item_status"] and before.completed:
            row = row | {"item_status": None}
        elif row["item_status"] and before.failed:
            row = row | {"item_status": "failed"}
        failed = before.failed or row["status"] == "failed"
        state[row["session"]] = Known(before.completed or row["item_status"] is not None, failed)
        settled.append(row)
    return settled


def item_statuses(rows: Sequence[Row]) -> list[str | None]:
    """`item_status` of all rows of a session, in the order of the log, where a failure was set aside.

    >>> failure = {"status": REDRIVEN, "item": 0, "item_status": "failed", "source_char": 0}
    >>> item_statuses([failure, {**failure, "status": "completed", "item_status": None}])
    [None, 'completed']
    """
    ends = [at for at, row in enumerate(rows) if row["status"] != REDRIVEN and _may_complete(row)]
    statuses: list[str | None] = [None] * len(rows)
    if ends:
        has_failed = any(row["status"] == "failed" for row in rows)
        statuses[ends[0]] = "failed" if has_failed else rows[ends[0]]["status"]
    return statuses


def _may_complete(row: Row) -> bool:
    return row["item_status"] is not None or (row["item"] is not None and row["source_char"] == 0)


def answer_of(row: Row) -> dict[str, Any]:
    """One answer as clients read it."""
    details = row["details"]
    kept = {name: details.get(name) for name in ("found", "provider", "timings")}
    kept |= {name: details[name] for name in _ORIGINS if name in details}
    at = f"{Source(row['source_offset'], row['source_char'])}"
    return {
        "status": row["status"],
        "question": row["question"],
        "content": row["content"],
        "error": row["error"] or None,
        "metadata": {"question_id": f"{row['session']}/{at}", "session_id": row["session"], **kept},
        "sources": details.get("sources") or [],
        "usage": details.get("usage"),
    }


def item_of(index: int, text: str | None, rows: Sequence[Row], missing: str) -> dict[str, Any]:
    """The result of one item from its rows, in the order of the log; without one that completes it it is `missing`.

    An item in which questions were looked for has its answers in `answers`, and all of their text in `content`.
    """
    whole = next((row for row in rows if row["item_status"]), None)
    answers = [answer_of(row) for row in rows if row["question"] is not None or row["status"] == "failed"]
    item: dict[str, Any] = {"index": index, "text": text, "status": whole["item_status"] if whole else missing}
    if whole and whole["source_char"] == 0 and whole["question"] is not None:
        (answer,) = answers[:1]
        return {**answer, **item, "text": text if text is not None else whole["question"]}
    errors = [answer["error"] for answer in answers if answer["error"]]
    content = "\n\n".join(answer["content"] for answer in answers if answer["content"])
    blank: Row = {"error": errors[0] if errors else None, "metadata": {}, "sources": [], "usage": None}
    return {**item, "content": content if rows else None, **blank, "answers": answers}


def items_of(span: range, rows: Iterable[Row], texts: Mapping[int, str], missing: str) -> list[dict[str, Any]]:
    """The results of a span of items; `rows` are sorted by item."""
    by_item = {item: list(group) for item, group in groupby(rows, key=lambda row: row["item"])}
    return [item_of(index, texts.get(index), by_item.get(index, []), missing) for index in span]


def events_json(events: Mapping[str, Any]) -> dict[str, Any]:
    """Events of a task as plain values."""
    plain: dict[str, Any] = msgspec.to_builtins({kind: events[kind] for kind in sorted(events)})
    return plain
