"""Answers records in, a client's messages out: how questions and sessions end, and what is void."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.delivery import Entry, View, just_below
from tests.answers_log import AGAIN, ATTEMPT, Q5, Q6, Q7, Q9, RUNNING, begin, done, entry, piece, play, stages
from topics.messages import Claim, Ended, Stopped, Verdict
from topics.sources import Source

pytestmark = pytest.mark.unit


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
