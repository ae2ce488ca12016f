"""Judges a run of one batch by what its customer was told and by the topics; shares no code with the product."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from tests.chaos.checker import ENDINGS, Findings
from tests.chaos.evidence import Evidence, Fault
from tests.chaos.log import STAGES, Log, Task, early_commits
from tests.chaos.views import COMMIT, LOST

TWICE, WRONG = "twice", "wrong"
VIOLATIONS = (LOST, TWICE, WRONG, COMMIT)


def check_batch(evidence: Evidence, texts: list[str]) -> Findings:
    """Judge a run of a batch with these texts, each of which the provider answers.

    >>> check_batch(Evidence(), ["one?"]).counts["lost"]
    1
    """
    told: dict[str, list[Any]] = defaultdict(list)
    for event in evidence.events:
        told[event.what].append(event.data)
    log = Log(evidence.entries)
    tasks = {stage: log.tasks(stage) for stage in STAGES}
    notes = [*_lost(texts, told), *_twice(texts, told), *_wrong(texts, told["item"], evidence)]
    notes += _early(evidence, tasks)
    counts = Counter(note.partition(":")[0] for note in notes)
    return Findings({name: counts[name] for name in VIOLATIONS}, notes, _figures(evidence, texts, told, log, tasks))


def _lost(texts: list[str], told: dict[str, list[Any]]) -> Iterable[str]:
    """Every item is completed, and the task too."""
    completed = {item["index"] for item in told["item"] if item["status"] == "completed"}
    yield from (f"{LOST}: item {index}" for index in range(len(texts)) if index not in completed)
    last: Any = told["task"][-1] if told["task"] else {"status": "never seen", "progress": {"completed": 0}}
    if last["status"] != "completed" or last["progress"]["completed"] < len(texts):
        yield f"{LOST}: the task is {last['status']}, {last['progress']}, {last.get('error_message')}"


def _twice(texts: list[str], told: dict[str, list[Any]]) -> Iterable[str]:
    """No item has two results or two rows, none is counted twice at any time, and the task is always the same one."""
    for index, count in Counter(item["index"] for item in told["item"]).items():
        if count > 1:
            yield f"{TWICE}: item {index} has {count} results"
    for session, count in Counter(row["metadata"]["session_id"] for row in told["row"]).items():
        if count > 1:
            yield f"{TWICE}: {session} has {count} rows"
    for progress in (task["progress"] for task in told["task"]):
        if progress["completed"] + progress["failed"] > len(texts):
            yield f"{TWICE}: {progress} of {len(texts)} items"
    names = {task["task_id"] for task in told["submitted"]}
    if len(names) > 1:
        yield f"{TWICE}: submitted once and there are {names}"


def _wrong(texts: list[str], items: list[Any], evidence: Evidence) -> Iterable[str]:
    """A result is of its own text, and what the provider said to it in one of its calls."""
    given: dict[str, set[str]] = defaultdict(set)
    for call in evidence.calls:
        given[call.question].add(f"Answer {call.call} to: {call.question}")
    for item in (item for item in items if item["status"] == "completed"):
        text = texts[item["index"]]
        if item["text"] != text or item["content"] not in given[text]:
            yield f"{WRONG}: item {item['index']} is {item['text']!r}, {item['content']!r}"


def _early(evidence: Evidence, tasks: dict[str, list[Task]]) -> Iterable[str]:
    for stage, found in tasks.items():
        for task in early_commits(found, [commit for commit in evidence.commits if commit.stage == stage]):
            yield f"{COMMIT}: {stage} partition {task.partition} offset {task.offset}"


def _figures(
    evidence: Evidence, texts: list[str], told: dict[str, list[Any]], log: Log, tasks: dict[str, list[Task]]
) -> dict[str, Any]:
    calls = Counter(call.question for call in evidence.calls)
    times = [event.time for event in evidence.events if event.what in ("submitted", "task")]
    seconds = times[-1] - times[0] if times else 0.0
    ended = [fault for fault in evidence.faults if fault.kind.startswith(ENDINGS)]
    return {
        "items": len(texts),
        "rows": len(told["row"]),
        "seconds": round(seconds, 1),
        "items_per_second": round(len(texts) / seconds, 1) if seconds else 0.0,
        "kills_at": [{"who": fault.target, "done": _done(fault, evidence, len(texts), tasks)} for fault in ended],
        "provider_calls_per_item": round(sum(calls.values()) / len(texts), 3),
        "provider_calls_most": max(calls.values(), default=0),
        "duplicates": {topic: dict(log.twice[topic]) for topic in ("transcripts", *STAGES)},
        "dead_letters": sum(entry.topic == "dead-letters" for entry in evidence.entries),
    }


def _done(fault: Fault, evidence: Evidence, items: int, tasks: dict[str, list[Task]]) -> float:
    """How much of the batch was done, 0 to 1, where somebody worked on it when he was killed."""
    stage = fault.target.partition("-")[0]
    written = _written(evidence, fault.time)
    if stage == "gateway" and written < items:
        return round(written / items, 2)
    if stage in ("gateway", "results"):
        looks = [event.data["progress"] for event in evidence.events if event.what == "task"]
        before = [event.time for event in evidence.events if event.what == "task" and event.time < fault.time]
        seen = looks[len(before) - 1] if before else {"completed": 0, "failed": 0}
        return round((seen["completed"] + seen["failed"]) / items, 2)
    finished = sum(task.finished <= fault.time for task in tasks.get(stage, tasks["answers"]))
    return round(finished / items, 2)


def _written(evidence: Evidence, time: float) -> int:
    """How many items stood on the transcripts by then."""
    return len({entry.key for entry in evidence.entries if entry.topic == "transcripts" and entry.time <= time})
