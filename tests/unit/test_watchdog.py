"""When work waits and nothing moves, a process is stalled."""

from __future__ import annotations

import pytest

from agents.watchdog import Stall

pytestmark = pytest.mark.unit


def checks(stall: Stall, *states: tuple[bool, object]) -> list[bool]:
    return [stall.check(busy=busy, mark=mark) for busy, mark in states]


def test_no_progress_for_longer_than_the_limit_is_a_stall() -> None:
    assert checks(Stall(limit=2), *[(True, 7)] * 4) == [False, False, False, True]


def test_any_progress_starts_the_count_again() -> None:
    stall = Stall(limit=2)
    checks(stall, *[(True, 7)] * 3)
    assert checks(stall, (True, 8), (True, 8), (True, 8), (True, 8)) == [False, False, False, True]


def test_an_idle_process_never_stalls() -> None:
    assert not any(checks(Stall(limit=0), *[(False, 7)] * 20))


def test_the_count_starts_when_work_comes() -> None:
    stall = Stall(limit=1)
    checks(stall, *[(False, 7)] * 20)
    assert checks(stall, (True, 7), (True, 7)) == [False, True]


def test_a_position_that_comes_back_is_progress_too() -> None:
    stall = Stall(limit=1)
    assert not any(checks(stall, *[(True, mark) for mark in (1, 2, 1, 2, 1, 2)]))


def test_a_stall_goes_on_being_one() -> None:
    stall = Stall(limit=0)
    assert checks(stall, *[(True, 7)] * 3) == [False, True, True]


def test_the_limit_is_in_seconds_of_the_interval() -> None:
    assert checks(Stall(limit=10, interval=5), *[(True, 7)] * 4) == [False, False, False, True]
