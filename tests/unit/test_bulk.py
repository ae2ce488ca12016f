"""Whose turn it is among what waits in the bulk lane."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from agents.bulk_answers import BulkAnswers
from agents.ready import Ready
from pipeline.settings import Settings
from topics.catalog import Lane

pytestmark = pytest.mark.unit


def test_a_choice_is_among_the_runs_however_many_sessions_of_their_own_wait() -> None:
    """Each choice looks at every group; outside producers may use a key for each call."""
    seen: list[int] = []

    def choose(groups: Collection[str]) -> str | None:
        seen.append(len(groups))
        return next(iter(groups))

    answers, ready = BulkAnswers(Settings(lane=Lane.BULK)), Ready[str](choose)
    for session in [*(f"call-{number}" for number in range(20_000)), "7.31", "task/0", "night/call-7", "task/1"]:
        ready.append(session, answers.group(session))
    assert [ready.pop() for _ in range(6)] == ["call-0", "task/0", "night/call-7", "call-1", "task/1", "call-2"]
    assert max(seen) == 3
