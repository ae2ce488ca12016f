"""The checker of the chaos runs finds every violation that is planted in the evidence of a clean run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.chaos.checker import VIOLATIONS, check
from tests.chaos.evidence import Call, Commit, Entry, Event, Evidence, Fault
from tests.chaos.report import report
from tests.chaos.schedule import KILLS, OTHERS, draw

pytestmark = pytest.mark.unit

QUESTION, STATEMENT, LATER = "s/0.20", "s/1.9", "s/2.20"


def middle(topic: str, offset: int, time: float, source: str, value: dict[str, Any], epoch: int = 1) -> Entry:
    stamps = {"rag-source": source, "rag-epoch": str(epoch), "rag-from": "0"}
    return Entry(topic, 0, offset, time, "s", stamps, value)


def claim(topic: str, offset: int, epoch: int) -> Entry:
    return Entry(topic, 0, offset, 0.0, None, {"rag-epoch": str(epoch)}, {"type": "claim", "epoch": epoch})


def transcripts() -> list[Entry]:
    said = ["How long does it take?", "We wait.", "And how much is it?"]
    values = [{"type": "asr_chunk", "text": text, "id": f"c-{number}"} for number, text in enumerate(said)]
    return [Entry("transcripts", 0, number, 1.0 + number, "s", {}, value) for number, value in enumerate(values)]


def river() -> list[Entry]:
    sources = ["0.20", "1.9", "2.20"]
    sentences = [
        middle(
            "sentences", 1 + n, 1.1 + n, source, {"type": "sentence", "text": "t", "offsets": [n], "ids": [f"c-{n}"]}
        )
        for n, source in enumerate(sources)
    ]
    asks = [
        {"type": "question", "text": "How long?"},
        {"type": "not_a_question"},
        {"type": "question", "text": "What?"},
    ]
    judged = [middle("questions", 1 + n, 1.2 + n, sources[n], value) for n, value in enumerate(asks)]
    return [claim("sentences", 0, 1), *sentences, claim("questions", 0, 1), *judged, claim("answers", 0, 1), *answers()]


def answers() -> list[Entry]:
    return [
        middle("answers", 1, 1.3, "0.20", {"type": "begin", "attempt": 100, "question": "How long?"}),
        middle("answers", 2, 1.4, "0.20", {"type": "piece", "attempt": 100, "index": 0, "text": "Five "}),
        middle("answers", 3, 2.3, "1.9", {"type": "verdict", "kind": "not_a_question"}),
        middle("answers", 4, 2.4, "0.20", {"type": "done", "attempt": 100, "index": 1, "why": "ok", "text": "Five "}),
        middle("answers", 5, 3.3, "2.20", {"type": "begin", "attempt": 100, "question": "What?"}),
        middle("answers", 6, 3.5, "2.20", {"type": "done", "attempt": 100, "index": 0, "why": "cancelled"}),
    ]


def status(stage: str, question_id: str, **fields: Any) -> dict[str, Any]:
    return {"type": "status", "stage": stage, "question_id": question_id, **fields}


def chunk(
    index: int, content: str = "", *, question_id: str = QUESTION, attempt: int = 100, final: bool = False
) -> dict[str, Any]:
    place = {"question_id": question_id, "attempt": attempt, "stream_index": index}
    return {"type": "answer", **place, "content": content, "final": final}


def ack(number: int) -> dict[str, Any]:
    return {"type": "ack", "received_type": "asr_chunk", "is_final": True, "id": f"c-{number}"}


def told() -> list[dict[str, Any]]:
    """What the client is told, in order."""
    return [
        ack(0),
        status("analyzing", QUESTION),
        status("querying_rag", QUESTION, attempt=100),
        chunk(0, "Five "),
        ack(1),
        status("waiting_for_question", STATEMENT),
        chunk(1, final=True),
        status("idle", QUESTION),
        ack(2),
        status("analyzing", LATER),
        status("querying_rag", LATER, attempt=100),
        status("idle", LATER),
    ]


def transcript(messages: list[dict[str, Any]]) -> list[Event]:
    events = [Event("c", "s", 0.5, "open", {"gateway": "gateway-0"})]
    events += [Event("c", "s", 0.6, "sent", {"id": f"c-{number}"}) for number in range(3)]
    for at, message in enumerate(messages):
        cursor = {} if message["type"] == "ack" else {"cursor": str(at)}
        events.append(Event("c", "s", 1.0 + at / 10, "heard", message | cursor))
    return events


def clean(messages: list[dict[str, Any]] | None = None) -> Evidence:
    """A run in which all went well: a question answered, a statement, a question cancelled."""
    commits = [Commit("sentences", 0, 3, 9.0), Commit("questions", 0, 4, 9.0), Commit("answers", 0, 4, 9.0)]
    events = transcript(told() if messages is None else messages)
    return Evidence([*transcripts(), *river()], commits, events, [], [Call("How long?", 1, "answered")])


def found(evidence: Evidence) -> dict[str, int]:
    return {name: count for name, count in check(evidence).counts.items() if count}


def test_a_clean_run_has_no_violation() -> None:
    assert check(clean()).notes == []
    assert set(check(clean()).counts) == set(VIOLATIONS)


def without(position: int) -> list[dict[str, Any]]:
    return [message for at, message in enumerate(told()) if at != position]


def with_at(position: int, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    return [*told()[:position], *messages, *told()[position:]]


INTERRUPTING = {"type": "status", "stage": "interrupting", "question_ids": [QUESTION]}

PLANTED: dict[str, tuple[list[dict[str, Any]], str]] = {
    "the outcome of an acknowledged chunk is missing": (without(5), "lost"),
    "a question is never answered": (told()[:9], "outcomes"),
    "a question ends twice": (with_at(8, {"type": "error", "code": "RAG_ERROR", "question_id": QUESTION}), "outcomes"),
    "a chunk is missing": (without(3), "indexes"),
    "a chunk comes twice": (with_at(4, chunk(0)), "indexes"),
    "a chunk comes after the end": (with_at(8, chunk(2)), "indexes"),
    "a chunk is of another answer": ([*told()[:3], chunk(0, "Six "), *told()[4:]], "indexes"),
    "a new attempt is not announced": (with_at(4, chunk(0, attempt=200)), "indexes"),
    "a question begins while another runs": (with_at(4, status("analyzing", "s/0.30")), "order"),
    "a chunk of a question that does not run": (with_at(4, chunk(0, question_id=LATER)), "order"),
    "verdicts go back": (with_at(6, status("waiting_for_question", "s/0.5")), "order"),
    "the outcome comes before the ack": ([told()[1], told()[0], *told()[2:]], "order"),
    "a chunk comes after interrupting": (with_at(4, INTERRUPTING, chunk(1)), "after_withdrawal"),
    "a chunk comes after a cancel": (with_at(12, chunk(0, question_id=LATER)), "after_withdrawal"),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_what_is_planted_in_a_transcript_is_found(planted: str) -> None:
    messages, name = PLANTED[planted]
    assert name in found(clean(messages))


def test_a_message_heard_twice_is_found() -> None:
    evidence = clean()
    evidence.events.append(evidence.events[-1])
    assert "order" in found(evidence)


def test_a_late_viewer_who_is_told_something_else_is_found() -> None:
    evidence = clean()
    again = [Event("c", "s", 9.0, "again", e.data) for e in evidence.events if e.what == "heard" and "cursor" in e.data]
    evidence.events += again
    assert found(evidence) == {}
    evidence.events.remove(again[3])
    assert found(evidence) == {"order": 1}


def test_an_acknowledged_chunk_that_is_on_no_topic_is_lost() -> None:
    evidence = clean()
    evidence.entries = [entry for entry in evidence.entries if (entry.topic, entry.offset) != ("sentences", 2)]
    assert found(evidence)["lost"] == 1


@pytest.mark.parametrize(("told_of", "lost"), [("s/1.0", {}), ("s/9.0", {"lost": 1})])
def test_a_chunk_that_its_stage_could_not_handle_is_lost_unless_its_client_is_told(
    told_of: str, lost: dict[str, int]
) -> None:
    evidence = clean(
        [*told()[:5], {"type": "error", "code": "SERVER_ERROR", "question_id": told_of}, *told()[6:]],
    )
    failed = {"type": "failed", "stage": "sentences", "error": "e"}
    for at, entry in enumerate(evidence.entries):
        if entry.headers.get("rag-source") == "1.9":
            value = {"type": "verdict", "kind": "failed"} if entry.topic == "answers" else failed
            evidence.entries[at] = entry._replace(headers=entry.headers | {"rag-source": "1.0"}, value=value)
    assert found(evidence) == lost


@pytest.mark.parametrize(
    ("stage", "topic", "offset"),
    [("sentences", "sentences", 2), ("questions", "questions", 2), ("answers", "answers", 4)],
)
def test_a_commit_past_a_record_whose_output_is_stored_later_or_never_is_found(
    stage: str, topic: str, offset: int
) -> None:
    later = clean()
    places = {(entry.topic, entry.offset): at for at, entry in enumerate(later.entries)}
    at = places[topic, offset]
    later.entries[at] = later.entries[at]._replace(time=9.5)
    assert found(later)["early_commits"] == 1, stage
    never = clean()
    del never.entries[at]
    assert found(never)["early_commits"] >= 1


def test_void_records_of_a_frozen_writer_are_counted_and_do_no_harm() -> None:
    evidence = clean()
    late = {"type": "piece", "attempt": 100, "index": 0, "text": "Five "}
    evidence.entries += [claim("answers", 7, 2), middle("answers", 8, 9.0, "0.20", late, epoch=1)]
    assert found(evidence) == {}
    assert check(evidence).figures["duplicates"]["answers"] == {"void": 1}
    evidence.entries.append(middle("answers", 9, 9.0, "0.20", late, epoch=2))
    assert check(evidence).figures["duplicates"]["answers"] == {"void": 1, "valid": 1}


def test_two_outputs_of_one_source_are_counted() -> None:
    evidence = clean()
    evidence.entries.append(middle("questions", 9, 9.0, "0.20", {"type": "failed", "stage": "questions", "error": "e"}))
    assert check(evidence).figures["duplicates"]["questions"] == {"valid": 1}


@pytest.mark.parametrize(("time", "met"), [(1.35, {"kill_worker": 1}), (8.0, {})])
def test_a_kill_counts_if_records_were_open(time: float, met: dict[str, int]) -> None:
    evidence = clean()
    evidence.faults = [Fault(time, "kill_worker", "answers-0", [0]), Fault(time, "kill_worker", "answers-1", [1])]
    assert check(evidence).figures["met_open_records"] == met


def test_figures_say_what_a_crash_costs_and_how_long_it_is_quiet() -> None:
    evidence = clean()
    evidence.faults = [Fault(1.35, "kill_worker", "answers-0", [0])]
    figures = check(evidence).figures
    assert figures["questions"] == 2
    assert figures["provider_calls_per_question"] == 0.5
    assert figures["recovery"]["kill_worker"]["all_running"] == {"n": 1, "median": 0.15, "p95": 0.15}


def test_a_run_that_shows_too_little_fails() -> None:
    failures = report(7, 50, check(clean())).failures
    assert [failure.partition(" ")[0] for failure in failures] == ["only"] * 3
    assert report(7, 0, check(clean())).failures == []


def test_evidence_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    evidence = clean()
    evidence.save(tmp_path)
    assert check(Evidence.load(tmp_path)) == check(evidence)


def test_a_seed_draws_the_same_faults_again() -> None:
    assert draw(3, 40) == draw(3, 40)
    assert draw(3, 40) != draw(4, 40)
    assert {step.kind for step in draw(3, 40)} == {*KILLS, *OTHERS}
