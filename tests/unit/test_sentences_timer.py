"""When the sentences stage closes what a session left open: live by record time, in bulk by what it has read."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from agents.sentences import BULK_SILENCE, Memory, Sentences
from pipeline.sentences import Heard, push
from pipeline.settings import Settings
from topics.catalog import Lane

pytestmark = [pytest.mark.unit, pytest.mark.asyncio]


class Chunk:
    """A held chunk that notes what is written of it."""

    def __init__(self) -> None:
        self.record, self.span = SimpleNamespace(id=None), None
        self.written: list[Any] = []

    async def emit(self, record: Any, *_: Any) -> None:
        self.written.append(record.text)


def waiting(at: float, since: float) -> tuple[Any, Chunk]:
    """A partition at record time 2000 with a sentence that was said at `at` and read `since` seconds ago."""
    memory, chunk = Memory(), Chunk()
    speech = memory.sessions.of("call")
    speech.open, _ = push(speech.open, Heard(7, "I came in by the morning", at))
    speech.held[7] = chunk  # type: ignore[assignment]
    speech.heard_at = time.monotonic() - since
    memory.speaking["call"] = speech
    return SimpleNamespace(memory=memory, clock=2000.0), chunk


@pytest.mark.parametrize(
    ("lane", "since", "clock", "closes"),
    [
        (Lane.LIVE, 0.0, 2000.0, True),  # a later record says that it was silent
        (Lane.BULK, 0.0, 2000.0, False),  # it may be one of another recording
        (Lane.BULK, 0.0, 2000.1, False),
        (Lane.BULK, BULK_SILENCE + 1, 2000.0, False),  # there is more to read: its rest may come yet
        (Lane.BULK, BULK_SILENCE + 1, 2000.1, True),
    ],
)
async def test_a_sentence_is_closed_by_silence(lane: Lane, since: float, clock: float, closes: bool) -> None:
    assignment, chunk = waiting(at=1000.0, since=since)
    await Sentences(Settings(lane=lane)).tick(assignment, clock)
    assert chunk.written == (["I came in by the morning"] if closes else [])
    assert ("call" in assignment.memory.speaking) is not closes
