"""One session at the answers stage: what waits, what a control takes away, and what is done with which record."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.answers import (
    LONGEST_BACKOFF,
    RETRIES,
    Conversation,
    Waiting,
    attempt_number,
    backoff,
    is_expired,
    withdrawn_sources,
    withdrawn_units,
)
from pipeline.delivery import View, just_below
from topics.messages import Done
from topics.sources import Source

pytestmark = pytest.mark.unit

Talk = Conversation[str]


def question(offset: int, char: int = 1) -> Waiting[str]:
    return Waiting(f"q{offset}", Source(offset, char), "How much?")


def instant(talk: Talk, offset: int) -> Waiting[str]:
    """As the stage takes an instant query: it supersedes what it withdraws."""
    waiting = Waiting(f"i{offset}", Source(offset), "Now?", mode="instant")
    waiting.supersedes = talk.withdraw(waiting.source)
    talk.add(waiting)
    return waiting


def talk_of(*waiting: Waiting[str], view: View | None = None) -> Talk:
    talk: Talk = Conversation()
    talk.view = view or View()
    for one in waiting:
        talk.add(one)
    return talk


# -- withdraw ----------------------------------------------------------------------------------------------------------


def test_a_control_withdraws_everything_below_it_and_nothing_above() -> None:
    low, high = question(1), question(9)
    talk = talk_of(low, high)
    assert talk.withdraw(Source(5)) == [low]
    assert (low.withdrawn_by, low.is_open) == (Source(5), False)
    assert high.is_open


def test_a_question_below_a_withdrawal_that_arrives_later_is_already_gone() -> None:
    talk = talk_of()
    talk.withdraw(Source(5))
    assert talk.already(Source(4, 999)) and talk.already(just_below(Source(5)))
    assert not talk.already(Source(5)) and not talk.already(Source(5, 1))


def test_a_lower_withdrawal_does_not_lower_the_floor() -> None:
    talk = talk_of()
    talk.withdraw(Source(9))
    talk.withdraw(Source(5))
    assert talk.already(Source(8))


def test_what_has_ended_is_already() -> None:
    talk = talk_of(view=View(ended=Source(3, 4)))
    assert talk.already(Source(3, 4)) and not talk.already(Source(3, 5))


def test_the_end_of_a_session_and_what_is_just_ending_are_not_withdrawn() -> None:
    end = Waiting("end", Source(2), "", kind="end")
    ending = question(3)
    ending.ending = True
    talk = talk_of(end, ending)
    assert talk.withdraw(Source(5)) == []
    assert end.is_open and ending.withdrawn_by is None


def test_a_question_is_withdrawn_once() -> None:
    talk = talk_of(question(1))
    assert len(talk.withdraw(Source(5))) == 1
    assert talk.withdraw(Source(7)) == []


def test_nested_instant_queries_hand_over_what_they_had_superseded() -> None:
    talk = talk_of(question(1), question(2))
    instant(talk, 5)
    last = instant(talk, 7)
    assert withdrawn_sources(last.supersedes) == [Source(1, 1), Source(2, 1), Source(5)]
    assert Counter(withdrawn_units(last.supersedes)) == Counter(["q1", "q2", "i5"])


def test_a_cancel_is_done_with_what_withdraws_its_question() -> None:
    asked = question(1)
    talk = talk_of(asked, view=View(current=asked.source))
    assert talk.cancel("call", None) is asked
    asked.controls.append("c3")
    superseding = instant(talk, 5)
    assert sorted(withdrawn_units(superseding.supersedes)) == ["c3", "q1"]


# -- cancel ------------------------------------------------------------------------------------------------------------


def test_a_cancel_takes_the_question_that_it_names_also_out_of_the_queue() -> None:
    running, queued = question(1), question(2)
    talk = talk_of(running, queued, view=View(current=running.source))
    assert talk.cancel("call", "call/2.1") is queued
    assert queued.cancelled and running.is_open


def test_a_cancel_without_a_name_takes_the_running_question() -> None:
    running, queued = question(1), question(2)
    talk = talk_of(running, queued, view=View(current=running.source))
    assert talk.cancel("call", None) is running
    assert queued.is_open


@pytest.mark.parametrize("named", [None, "call/9.9", "other/1.1", ""])
def test_a_cancel_of_nothing_that_is_open_is_too_late(named: str | None) -> None:
    asked = question(1)
    assert talk_of(asked).cancel("call", named) is None
    assert asked.is_open


def test_a_second_cancel_of_the_same_question_is_too_late() -> None:
    talk = talk_of(question(1))
    assert talk.cancel("call", "call/1.1") is not None
    assert talk.cancel("call", "call/1.1") is None


@pytest.mark.parametrize("state", ["withdrawn", "ending"])
def test_what_is_going_already_cannot_be_cancelled(state: str) -> None:
    asked = question(1)
    talk = talk_of(asked)
    if state == "withdrawn":
        talk.withdraw(Source(5))
    else:
        asked.ending = True
    assert talk.cancel("call", "call/1.1") is None


def test_a_cancel_that_had_its_effect_is_known_by_its_question() -> None:
    talk = talk_of()
    assert not talk.was_cancelled("call", "call/1.1")
    talk.last_cancelled = Source(1, 1)
    assert talk.was_cancelled("call", "call/1.1")
    assert not talk.was_cancelled("call", "call/2.1") and not talk.was_cancelled("call", None)


def test_a_conversation_is_idle_when_nothing_waits() -> None:
    talk = talk_of()
    assert talk.is_idle()
    talk.add(question(1))
    assert not talk.is_idle()


# -- memory ------------------------------------------------------------------------------------------------------------


def done(number: int, **fields: Any) -> Done:
    usual: dict[str, Any] = {"why": "ok", "question": f"q{number}", "text": f"answer {number}", "provider": "dify"}
    return Done(attempt=0, index=0, **{**usual, **fields})


def test_the_last_turns_are_remembered_and_no_more_of_each_than_is_set() -> None:
    talk: Talk = Conversation(turns=2, chars=7)
    for number in range(4):
        talk.remember(done(number))
    assert list(talk.turns) == [("q2", "answer "), ("q3", "answer ")]


def test_memory_can_be_off() -> None:
    talk: Talk = Conversation(turns=0, chars=1000)
    talk.remember(done(1))
    assert list(talk.turns) == []


def test_what_was_not_answered_is_no_turn() -> None:
    talk: Talk = Conversation(turns=5, chars=1000)
    for unanswered in ({"why": "cancelled"}, {"why": "error"}, {"found": False}, {"text": ""}):
        talk.remember(done(1, **unanswered))
    assert list(talk.turns) == []


def test_each_provider_has_its_own_conversation_of_a_session() -> None:
    talk: Talk = Conversation()
    for fields in ({"thread": "c-1"}, {"thread": "c-2"}, {"thread": "x", "provider": "other"}, {"thread": ""}):
        talk.remember(done(1, **fields))
    assert talk.threads == {"dify": "c-2", "other": "x"}


# -- what is released --------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from(["question", "instant", "cancel"]), st.integers(0, 9)), max_size=14))
def test_every_withdrawn_record_and_control_is_released_exactly_once(acts: list[tuple[str, int]]) -> None:
    talk: Talk = Conversation()
    given_away: Counter[str] = Counter()
    for offset, (act, choice) in enumerate(acts):
        if act == "question":
            talk.add(question(offset))
        elif act == "instant":
            instant(talk, offset)
        else:
            named = list(talk.queue.values())[choice % len(talk.queue)] if talk.queue else None
            if named and talk.cancel("call", f"call/{named.source}"):
                named.controls.append(f"c{offset}")
    taken = talk.withdraw(Source(len(acts)))
    given_away.update(withdrawn_units(taken))
    everything = [waiting.unit for waiting in talk.queue.values()]
    controls = [control for waiting in talk.queue.values() for control in waiting.controls]
    assert given_away == Counter([*everything, *controls])
    assert withdrawn_sources(taken) == sorted(talk.queue)


# -- numbers -----------------------------------------------------------------------------------------------------------


def test_attempts_of_a_later_owner_are_above_all_retries_of_an_earlier_one() -> None:
    numbers = [attempt_number(epoch, retry) for epoch in (1, 2, 3) for retry in range(RETRIES + 1)]
    assert numbers == sorted(set(numbers))


@given(st.integers(1, 20), st.none() | st.floats(0, 1e6), st.floats(0, 1))
def test_a_backoff_is_what_the_provider_asks_for_within_our_bounds(
    retry: int, asked: float | None, jitter: float
) -> None:
    wait, own = backoff(retry, asked, jitter), backoff(retry)
    assert own is not None
    if asked is not None and asked > LONGEST_BACKOFF:
        assert wait is None
    else:
        assert wait is not None
        assert max(asked or 0.0, own / 2) <= wait <= LONGEST_BACKOFF


@pytest.mark.parametrize(
    ("asked_at", "now", "ttl", "expired"),
    [
        (100.0, 160.0, 60.0, False),
        (100.0, 160.1, 60.0, True),
        (100.0, 1e9, 0.0, False),
        (0.0, 1e9, 60.0, False),
        (200.0, 100.0, 60.0, False),
    ],
)
def test_a_question_expires_after_its_time_to_live(asked_at: float, now: float, ttl: float, expired: bool) -> None:
    assert is_expired(asked_at, now, ttl) is expired
