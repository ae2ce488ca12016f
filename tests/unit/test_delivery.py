"""Answers records in, a client's messages out: every row of the fold."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.delivery import Entry, Message, View, fold, just_below
from topics.messages import AnswerRecord, Begin, Claim, Done, Ended, Piece, Reply, Stopped, Verdict
from topics.sources import BEFORE_ALL, Source

pytestmark = pytest.mark.unit

Q5, Q6, Q7, Q9 = Source(5, 12), Source(6, 3), Source(7), Source(9, 4)
ATTEMPT, AGAIN = 200, 300  # of epochs 2 and 3
RUNNING = View(epoch=2, current=Q5, attempt=ATTEMPT, upcoming=0)


def entry(record: AnswerRecord, source: Source = Q5, epoch: int = 2) -> Entry:
    return Entry("call", source, epoch, record)


def play(*entries: Entry, view: View | None = None) -> tuple[View, list[Message]]:
    view, messages = view or View(), []
    for item in entries:
        view, told = fold(view, item)
        messages += told
    return view, messages


def begin(source: Source = Q5, attempt: int = ATTEMPT, **fields: Any) -> Entry:
    return entry(Begin(question="How much?", attempt=attempt, **fields), source)


def piece(index: int, text: str = "a", source: Source = Q5, attempt: int = ATTEMPT) -> Entry:
    return entry(Piece(attempt=attempt, index=index, text=text), source)


def done(why: Any, source: Source = Q5, attempt: int = ATTEMPT, index: int = 0, **fields: Any) -> Entry:
    return entry(Done(attempt=attempt, index=index, why=why, **fields), source)


def stages(messages: list[Message]) -> list[str]:
    return [message.get("stage") or message.get("code") or message["type"] for message in messages]


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


# -- done --------------------------------------------------------------------------------------------------------------


def test_a_whole_answer_ends_with_an_empty_final_chunk_and_idle() -> None:
    facts: dict[str, Any] = {
        "sources": [{"n": 1, "title": "prices"}],
        "usage": {"tokens": 3},
        "provider": "local",
        "timings": {"total": 0.5},
    }
    view, messages = play(piece(0), done("ok", index=1, text="a", **facts), view=RUNNING)
    assert messages[1:] == [
        {
            "type": "answer",
            "session_id": "call",
            "question_id": "call/5.12",
            "attempt": ATTEMPT,
            "stream_index": 1,
            "content": "",
            "final": True,
            "found": True,
            **facts,
        },
        {
            "type": "status",
            "session_id": "call",
            "stage": "idle",
            "note": "ready for the next question",
            "question_id": "call/5.12",
        },
    ]
    assert view.ended == Q5 and view.current is None


def test_done_without_a_begin_is_the_whole_text_as_one_final_chunk() -> None:
    view, messages = play(done("ok", index=7, text="It costs 5."))
    assert (messages[0]["stream_index"], messages[0]["content"], messages[0]["final"]) == (0, "It costs 5.", True)
    assert stages(messages) == ["answer", "idle"]
    assert view == View(epoch=2, ended=Q5)


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ("error", ["RAG_ERROR", "idle"]),
        ("expired", ["QUESTION_EXPIRED", "idle"]),
        ("cancelled", ["idle"]),
        ("interrupted", ["interrupting"]),
    ],
)
@pytest.mark.parametrize("view", [RUNNING, View(epoch=2, ended=Source(4))], ids=["running", "queued"])
def test_an_end_without_an_answer_says_why(why: str, told: list[str], view: View) -> None:
    after, messages = play(done(why), view=view)
    assert stages(messages) == told
    assert all("call/5.12" in (message.get("question_id"), *message.get("question_ids", [])) for message in messages)
    assert after.ended == Q5 and after.current is None


def test_a_provider_error_is_told_with_its_message() -> None:
    _, messages = play(done("error", error="no answer within 30 s"), view=RUNNING)
    assert messages[0] == {
        "type": "error",
        "session_id": "call",
        "code": "RAG_ERROR",
        "message": "no answer within 30 s",
        "question_id": "call/5.12",
    }


@pytest.mark.parametrize(
    "odd",
    [done("ok", index=1), done("ok", index=3), done("ok", Q6, index=2), done("ok", attempt=AGAIN, index=2)],
    ids=["pieces missing before", "pieces missing behind", "other question", "other attempt"],
)
def test_a_done_out_of_place_does_not_end_the_running_question(odd: Entry) -> None:
    view = RUNNING._replace(upcoming=2)
    assert play(odd, view=view) == (view, [])


@pytest.mark.parametrize("read_back", [(0, 0), (ATTEMPT, 1)], ids=["nothing of it", "less of it"])
@pytest.mark.parametrize(("why", "told"), [("cancelled", ["idle"]), ("expired", ["QUESTION_EXPIRED", "idle"])])
def test_a_later_owner_ends_what_a_frozen_one_began_behind_its_back(
    why: str, told: list[str], read_back: tuple[int, int]
) -> None:
    """The frozen writer's records came after the claim, so the later one knows less of them than the clients."""
    attempt, index = read_back
    late = done(why, attempt=attempt, index=index)._replace(epoch=3)
    view, messages = play(late, view=RUNNING._replace(upcoming=2))
    assert stages(messages) == told
    assert (view.ended, view.current) == (Q5, None)


@pytest.mark.parametrize("source", [Q5, Source(4)])
def test_a_question_ends_once(source: Source) -> None:
    ended = View(epoch=2, ended=Q5)
    assert play(done("ok", source), view=ended) == (ended, [])


# -- stop, end, claims and epochs --------------------------------------------------------------------------------------


def test_stop_says_idle_and_closed_and_withdraws_everything() -> None:
    view, messages = play(entry(Stopped(withdrawn=[str(Q5)]), Q7), view=RUNNING)
    assert stages(messages) == ["idle", "closed"]
    assert all(set(message) == {"type", "session_id", "stage", "note"} for message in messages)
    assert view == View(epoch=2, said=Q7, ended=Q7, current=None, attempt=ATTEMPT)
    assert play(piece(0), begin(Q6), done("ok"), view=view) == (view, [])


def test_a_session_goes_on_after_a_stop() -> None:
    _, messages = play(entry(Stopped(), Q7), begin(Q9))
    assert stages(messages) == ["idle", "closed", "analyzing", "querying_rag"]


def test_the_end_of_a_session_gives_no_message() -> None:
    assert play(entry(Ended(), Q9), view=RUNNING) == (RUNNING, [])


def test_a_claim_changes_nothing_in_a_session() -> None:
    assert play(entry(Claim(epoch=9), epoch=9), view=RUNNING) == (RUNNING, [])


@pytest.mark.parametrize(
    "late", [begin(Q9), piece(0), done("ok"), entry(Verdict(kind="failed"), Q9), entry(Stopped(), Q9)], ids=str
)
def test_a_record_of_a_lower_epoch_is_void(late: Entry) -> None:
    taken_over = RUNNING._replace(epoch=3)
    assert play(late, view=taken_over) == (taken_over, [])
    assert play(late._replace(epoch=3), view=taken_over)[1]


def test_a_higher_epoch_counts_even_where_its_record_gives_no_message() -> None:
    view, messages = play(piece(0, source=Q9)._replace(epoch=3), piece(0), view=RUNNING)
    assert (view.epoch, messages) == (3, [])


def test_every_row_gives_the_same_messages_on_every_gateway() -> None:
    log = [begin(), piece(0), done("ok", index=1), begin(Q6), entry(Stopped(), Q7)]
    assert play(*log) == play(*log)


def test_just_below_lies_between_a_control_and_everything_before_it() -> None:
    assert Source(6, 10_000) < just_below(Source(7)) < Source(7)
    assert Source(7, 3) < just_below(Source(7, 5)) < Source(7, 5)
