"""State by session, bounded: the longest unused idle states go, busy ones never."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sessions import LOOKS, Sessions

pytestmark = pytest.mark.unit


def lists(capacity: int) -> Sessions[list[int]]:
    return Sessions(list, lambda state: not state, capacity)


def test_a_session_keeps_its_state() -> None:
    sessions = lists(2)
    sessions.of("a").append(1)
    assert sessions.of("a") == [1]


def test_the_longest_unused_idle_state_is_forgotten_first() -> None:
    sessions = lists(2)
    for session in ("a", "b", "a", "c"):
        sessions.of(session)
    assert sorted(sessions) == ["a", "c"]


def test_busy_states_are_kept_beyond_the_capacity() -> None:
    sessions = lists(2)
    for session in ("a", "b", "c", "d"):
        sessions.of(session).append(1)
    assert sorted(sessions) == ["a", "b", "c", "d"]


def test_once_busy_states_are_idle_the_bound_holds_again() -> None:
    sessions = lists(1)
    for session in ("a", "b", "c"):
        sessions.of(session).append(1)
    for session in ("a", "b", "c"):
        sessions.of(session).clear()
    sessions.of("d")
    assert list(sessions) == ["d"]


def test_a_new_session_looks_at_a_few_of_the_busy_ones_however_many_there_are() -> None:
    looked: list[list[int]] = []

    def is_idle(state: list[int]) -> bool:
        looked.append(state)
        return False

    sessions = Sessions[list[int]](list, is_idle, capacity=10)
    for number in range(1000):
        sessions.of(str(number))
    assert len(list(sessions)) == 1000
    assert len(looked) <= LOOKS * 1000


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), max_size=40), st.integers(1, 4))
def test_no_busy_state_is_lost_and_idle_ones_stay_within_the_bound(uses: list[tuple[str, bool]], capacity: int) -> None:
    sessions, busy = lists(capacity), set[str]()
    for session, works in uses:
        is_new = session not in list(sessions)
        state = sessions.of(session)
        assert bool(state) == (session in busy)
        assert not is_new or len(list(sessions)) <= capacity + len(busy)
        state[:] = [1] if works else []
        busy = busy | {session} if works else busy - {session}
        assert busy <= set(sessions)
