"""Answers records in, a client's messages out: what is said on arrival, begins and pieces."""

from __future__ import annotations

import pytest

from pipeline.delivery import Entry, View, just_below
from tests.answers_log import AGAIN, ATTEMPT, Q5, Q6, Q7, Q9, RUNNING, begin, done, entry, piece, play, stages
from topics.messages import AnswerRecord, Reply, Stopped, Verdict
from topics.sources import BEFORE_ALL, Source

pytestmark = pytest.mark.unit


# -- what was said on arrival ------------------------------------------------------------------------------------------


def test_a_sentence_that_asks_nothing_is_waiting_for_question_with_score_and_reason() -> None:
    view, messages = play(entry(Verdict(kind="not_a_question", text="Hello.", score=0.1, reason="a statement")))
    assert view == View(epoch=2, said=Q5)
    assert messages == [
        {
            "type": "status",
            "session_id": "call",
            "stage": "waiting_for_question",
            "note": "this asks nothing",
            "question_id": "call/5.12",
            "text": "Hello.",
            "score": 0.1,
            "reason": "a statement",
        }
    ]


def test_a_record_that_failed_is_a_server_error_with_its_question() -> None:
    view, messages = play(entry(Verdict(kind="failed", reason="it stands in the dead letters")))
    assert view.said == Q5
    assert messages == [
        {
            "type": "error",
            "session_id": "call",
            "code": "SERVER_ERROR",
            "message": "it stands in the dead letters",
            "question_id": "call/5.12",
        }
    ]


def test_a_late_cancel_is_told_idle() -> None:
    view, messages = play(entry(Reply(stage="idle", message="too late"), Q7))
    assert view == View(epoch=2, replied=Q7)
    assert messages == [{"type": "status", "session_id": "call", "stage": "idle", "note": "too late"}]


def test_a_reply_with_a_code_is_an_error_of_no_question() -> None:
    _, messages = play(entry(Reply(code="NO_FINAL_ASR", message="nothing heard"), Q7))
    assert messages == [{"type": "error", "session_id": "call", "code": "NO_FINAL_ASR", "message": "nothing heard"}]


@pytest.mark.parametrize(
    "record", [Verdict(kind="not_a_question"), Verdict(kind="failed"), Reply(stage="idle"), Stopped()], ids=str
)
def test_what_is_said_of_a_source_not_higher_than_the_last_is_passed_over(record: AnswerRecord) -> None:
    told = View(epoch=2, said=Q6, replied=Q6)
    for source in (Q5, Q6):
        assert play(entry(record, source), view=told) == (told, [])
    assert play(entry(record, Q7), view=told)[1]


def test_a_reply_to_a_cancel_keeps_the_verdict_of_the_open_sentence_it_overtook() -> None:
    _, messages = play(entry(Reply(stage="idle"), Q7), entry(Verdict(kind="not_a_question"), Q6))
    assert stages(messages) == ["idle", "waiting_for_question"]


def test_a_verdict_between_pieces_leaves_the_running_answer_alone() -> None:
    view, messages = play(piece(0), entry(Verdict(kind="not_a_question"), Q9), piece(1), view=RUNNING)
    assert stages(messages) == ["answer", "waiting_for_question", "answer"]
    assert view == RUNNING._replace(said=Q9, upcoming=2)


# -- begin ------------------------------------------------------------------------------------------------------------


def test_a_standard_question_begins_with_analyzing_and_querying_rag() -> None:
    view, messages = play(begin())
    assert view == RUNNING
    asked = {"session_id": "call", "question": "How much?", "question_id": "call/5.12"}
    assert messages == [
        {"type": "status", "stage": "analyzing", "note": "a question was heard", **asked},
        {
            "type": "status",
            "stage": "querying_rag",
            "note": "asking the knowledge",
            "mode": "standard",
            "attempt": ATTEMPT,
            **asked,
        },
    ]


def test_a_question_sent_again_from_the_dead_letters_says_which_it_was() -> None:
    _, messages = play(begin(redrive_of="call/2.8"))
    assert messages[0]["redrive_of"] == "call/2.8"


def test_an_instant_query_says_instant_twice() -> None:
    _, messages = play(begin(Q7, mode="instant"))
    assert [(message["stage"], message["mode"]) for message in messages] == [
        ("instant_query", "instant"),
        ("querying_rag", "instant"),
    ]


def test_an_instant_query_that_withdraws_first_names_what_it_interrupts() -> None:
    view, messages = play(begin(Q7, mode="instant", withdrawn=[str(Q5), str(Q6)]), view=RUNNING)
    assert messages[0] == {
        "type": "status",
        "session_id": "call",
        "stage": "interrupting",
        "note": "superseded by a newer question",
        "question_ids": ["call/5.12", "call/6.3"],
    }
    assert stages(messages[1:]) == ["instant_query", "querying_rag"]
    assert view == View(epoch=2, ended=just_below(Q7), current=Q7, attempt=ATTEMPT, upcoming=0)


def test_nothing_of_a_withdrawn_question_is_told_any_more() -> None:
    view, _ = play(begin(Q7, mode="instant", withdrawn=[str(Q5)]), view=RUNNING)
    for late in (piece(0), begin(attempt=ATTEMPT + 1), begin(Q6), done("ok"), done("cancelled", Q6)):
        assert play(late, view=view) == (view, [])


def test_what_has_ended_is_not_called_interrupted() -> None:
    """A frozen writer ended it after its successor had claimed; the successor withdraws it without knowing."""
    ended = View(epoch=2, ended=Q5)
    _, messages = play(begin(Q7, mode="instant", withdrawn=[str(Q5)]), view=ended)
    assert stages(messages) == ["instant_query", "querying_rag"]


def test_the_same_question_again_is_retrying_from_index_0_of_a_higher_attempt() -> None:
    view, messages = play(begin(attempt=ATTEMPT + 1), view=RUNNING._replace(upcoming=4))
    assert stages(messages) == ["querying_rag"]
    assert (messages[0]["note"], messages[0]["attempt"]) == ("retrying", ATTEMPT + 1)
    assert view == RUNNING._replace(attempt=ATTEMPT + 1, upcoming=0)


@pytest.mark.parametrize("attempt", [ATTEMPT - 1, ATTEMPT])
def test_an_attempt_that_is_not_higher_does_not_begin(attempt: int) -> None:
    assert play(begin(attempt=attempt), view=RUNNING) == (RUNNING, [])


@pytest.mark.parametrize("source", [Source(5, 11), Q5, BEFORE_ALL])
def test_a_question_that_has_ended_does_not_begin_again(source: Source) -> None:
    ended = View(epoch=2, ended=Q5)
    assert play(begin(source, attempt=AGAIN), view=ended) == (ended, [])


def test_a_question_below_the_running_one_does_not_begin() -> None:
    assert play(begin(Source(4)), view=RUNNING) == (RUNNING, [])


# -- pieces ------------------------------------------------------------------------------------------------------------


def test_pieces_are_answer_chunks_with_ascending_indexes() -> None:
    view, messages = play(piece(0, "It "), piece(1, "costs 5."), view=RUNNING)
    place = {"type": "answer", "session_id": "call", "question_id": "call/5.12", "attempt": ATTEMPT}
    assert messages == [
        {**place, "stream_index": 0, "content": "It ", "final": False},
        {**place, "stream_index": 1, "content": "costs 5.", "final": False},
    ]
    assert view.upcoming == 2


@pytest.mark.parametrize(
    "odd",
    [piece(1), piece(3), piece(2, source=Q6), piece(2, attempt=ATTEMPT - 1), piece(2, attempt=AGAIN)],
    ids=["repeated", "gap", "other question", "older attempt", "attempt not begun"],
)
def test_a_piece_out_of_place_gives_nothing(odd: Entry) -> None:
    view = RUNNING._replace(upcoming=2)
    assert play(odd, view=view) == (view, [])


def test_a_piece_of_no_running_question_gives_nothing() -> None:
    assert play(piece(0))[1] == []
