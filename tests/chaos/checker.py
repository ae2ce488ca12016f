"""Judges a run by its transcripts and topics alone; knows the public protocol and shares no code with the product."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tests.chaos.evidence import Event, Evidence, Fault, by_session
from tests.chaos.log import STAGES, Log, Task, early_commits
from tests.chaos.views import COMMIT, INDEX, LOST, ORDER, TERMINAL, WITHDRAWN, SessionView, interrupted

VIOLATIONS = (LOST, TERMINAL, INDEX, ORDER, WITHDRAWN, COMMIT)
ENDINGS = ("kill", "term")


class Findings(NamedTuple):
    """What a run came to: `counts` has one entry for each of `VIOLATIONS`, `notes` says where each was seen."""

    counts: dict[str, int]
    notes: list[str]
    figures: dict[str, Any]


def check(evidence: Evidence) -> Findings:
    """Judge a run.

    >>> check(Evidence()).counts["lost"]
    0
    """
    log = Log(evidence.entries)
    sessions = by_session(evidence.events)
    views = {session: _view(session, events, log) for session, events in sessions.items()}
    tasks = {stage: log.tasks(stage) for stage in STAGES}
    counts: Counter[str] = Counter({name: 0 for name in VIOLATIONS})
    notes: list[str] = []
    for session, view in views.items():
        _find_lost(view, sessions[session], log)
        _check_acks(view, sessions[session], log)
        counts.update(view.counts)
        notes += view.notes
    for stage, found in tasks.items():
        early = early_commits(found, [commit for commit in evidence.commits if commit.stage == stage])
        counts[COMMIT] += len(early)
        notes += [f"{COMMIT}: {stage} partition {task.partition} offset {task.offset}" for task in early]
    return Findings(dict(counts), notes, _figures(evidence, log, views, sessions, tasks))


def _view(session: str, events: Iterable[Event], log: Log) -> SessionView:
    view = SessionView(session, log.asked.get(session, {}), log.texts)
    again: list[Any] = []
    is_again = False
    for event in events:
        view.take(event)
        if event.what == "again":
            is_again = True
            again += [event.data] if event.data and "cursor" in event.data and event.data["type"] != "ack" else []
    view.close()
    if is_again:
        view.compare(again)
    return view


def _sources_of_chunks(log: Log, session: str) -> dict[str, list[str]]:
    """Ids of the sentences (or of the instant query) that each client id of a session went into."""
    offsets = {
        said.source[0]: said.entry.value["id"]
        for said in log.said["transcripts"]
        if said.session == session and said.entry.value.get("id")
    }
    found: dict[str, list[str]] = defaultdict(list)
    for said in log.said["sentences"]:
        if said.session == session:
            public = f"{session}/{said.source[0]}.{said.source[1]}"
            held = [offsets[offset] for offset in said.chunks if offset in offsets]
            for client_id in {*held, *said.entry.value.get("ids", ()), said.entry.value.get("id")}:
                found[client_id or ""].append(public)
    return found


def _find_lost(view: SessionView, events: Iterable[Event], log: Log) -> None:
    """An acknowledged chunk leads to something that the client is told; so does an instant query."""
    outcomes = _sources_of_chunks(log, view.session)
    for event in events:
        message = event.data
        if event.what != "heard" or message["type"] != "ack" or "id" not in message:
            continue
        is_final = message["received_type"] == "asr_chunk" and message["is_final"]
        if not (is_final or message.get("action") == "instant_query") or message.get("message") == "paused":
            continue
        found = outcomes.get(message["id"], [])
        silent = [public for public in found if public not in view.told]
        if (not found or silent) and not view.is_closed:
            view.find(LOST, f"{message['id']}: {'no outcome of ' + silent[0] if silent else 'not in any sentence'}")


def _check_acks(view: SessionView, events: Iterable[Event], log: Log) -> None:
    """What comes of a chunk comes after its ack, unless the chunk was sent before this connection."""
    outcomes = _sources_of_chunks(log, view.session)
    waiting: dict[str, str] = {}  # sentence -> the chunk that is not acknowledged
    sent: Counter[str] = Counter()
    for event in events:
        message = event.data
        if event.what == "open":
            waiting.clear()
        elif event.what == "sent":
            sent[message["id"]] += 1
            if sent[message["id"]] == 1:
                waiting.update(dict.fromkeys(outcomes.get(message["id"], ()), message["id"]))
        elif event.what == "heard" and "id" in message:  # its ack, or an error about it
            waiting = {public: chunk for public, chunk in waiting.items() if chunk != message["id"]}
        elif event.what == "heard" and message.get("question_id") in waiting:
            view.find(ORDER, f"{message['question_id']} before the ack of {waiting.pop(message['question_id'])}")


def _figures(
    evidence: Evidence,
    log: Log,
    views: dict[str, SessionView],
    sessions: dict[str, list[Event]],
    tasks: dict[str, list[Task]],
) -> dict[str, Any]:
    asked = sum(map(len, log.asked.values()))
    calls = Counter(call.question for call in evidence.calls)
    ended = [fault for fault in evidence.faults if fault.kind.startswith(ENDINGS)]
    met = [fault for fault in ended if _met(fault, tasks, sessions)]
    return {
        "questions": asked,
        "interrupted_answers": sum(map(interrupted, views.values())),
        "withdrawn": sum(len(view._withdrawn) for view in views.values()),
        "ends": dict(Counter(fault.kind for fault in ended)),
        "met_open_records": dict(Counter(fault.kind for fault in met)),
        "faults": dict(Counter(fault.kind for fault in evidence.faults)),
        "duplicates": {topic: dict(log.twice[topic]) for topic in ("transcripts", *STAGES)},
        "dead_letters": sum(entry.topic == "dead-letters" for entry in evidence.entries),
        "provider_calls_per_question": round(sum(calls.values()) / asked, 2) if asked else 0.0,
        "provider_calls_most": max(calls.values(), default=0),
        "errors": dict(sum((view.errors for view in views.values()), Counter())),
        "recovery": _recovery(evidence.faults, sessions),
    }


def _met(fault: Fault, tasks: dict[str, list[Task]], sessions: dict[str, list[Event]]) -> bool:
    """Whether what was ended had records open: those of a worker's partitions or of a gateway's clients."""
    if fault.kind.endswith("worker"):
        mine = tasks[fault.target.partition("-")[0]]
        return any(t.partition in fault.partitions and t.came <= fault.time < t.finished for t in mine)
    if fault.kind.endswith("gateway"):
        return any(_is_served(events, fault) for events in sessions.values())
    return any(t.came <= fault.time < t.finished for found in tasks.values() for t in found)


def _is_served(events: Sequence[Event], fault: Fault) -> bool:
    """Whether a client at this gateway waited for an ack or an answer at the time of the fault."""
    at, waiting, running = "", set(), False
    for event in events:
        if event.time > fault.time:
            break
        if event.what == "open":
            at = event.data["gateway"]
        elif event.what == "sent":
            waiting.add(event.data["id"])
        elif event.what == "heard":
            waiting.discard(event.data.get("id"))
            running = _runs(event.data, running)
    return at == fault.target and (bool(waiting) or running)


def _runs(message: Any, running: bool) -> bool:
    if message.get("stage") in ("analyzing", "instant_query"):
        return True
    return running and message.get("stage") not in ("idle", "interrupting", "closed")


def _recovery(faults: Iterable[Fault], sessions: dict[str, list[Event]]) -> dict[str, Any]:
    """By kind of fault, in seconds: until the next chunk at any client, and until all that had a question running
    were told something again.
    """  # noqa: D205
    heard = {name: [e for e in events if e.what == "heard" and "cursor" in e.data] for name, events in sessions.items()}
    answers = sorted(e.time for events in heard.values() for e in events if e.data["type"] == "answer")
    some: dict[str, list[float]] = defaultdict(list)
    every: dict[str, list[float]] = defaultdict(list)
    for fault in faults:
        some[fault.kind] += [time - fault.time for time in answers if time > fault.time][:1]
        waits = [wait for events in heard.values() if (wait := _wait(events, fault.time)) is not None]
        every[fault.kind] += [max(waits)] if waits else []
    return {
        kind: {"next_answer": _spread(some[kind]), "all_running": _spread(every[kind])}
        for kind in sorted({fault.kind for fault in faults})
    }


def _wait(events: Sequence[Event], time: float) -> float | None:
    running = False
    for event in events:
        if event.time > time:
            return event.time - time if running else None
        running = _runs(event.data, running)
    return None


def _spread(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    p95 = sorted(values)[max(0, round(0.95 * len(values)) - 1)]
    return {"n": len(values), "median": round(statistics.median(values), 2), "p95": round(p95, 2)}
