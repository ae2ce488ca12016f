"""What time it is on a partition: by its records while they are read, by the wall when nothing more is."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from agents.assignment import Assignment
from agents.clock import Clock
from agents.transport import Consumer
from agents.unit import Unit
from topics.sources import Source

pytestmark = pytest.mark.unit


def clock(*, caught_up: bool, undelivered: int = 0) -> Clock:
    """The clock of a stage whose consumer says of its room what the real one says."""
    consumer: Any = SimpleNamespace(
        caught_up=lambda _: caught_up, max_open=Consumer.max_open, max_held=Consumer.max_held
    )
    consumer.has_room = lambda assignment: Consumer.has_room(consumer, assignment)
    stage: Any = SimpleNamespace(app=SimpleNamespace(consumer=consumer), undelivered=undelivered)
    return Clock(stage, frozen_after=10.0)


def partition(open_: int = 0, held: int = 0) -> Any:
    """At record time 1000, the last record taken a minute ago; so many records are open, of so many bytes."""
    progress = SimpleNamespace(open=lambda: open_)
    return SimpleNamespace(clock=1000.0, touched=time.monotonic() - 60, ready=True, progress=progress, held=held)


def test_while_there_is_more_to_read_it_is_the_time_of_the_last_record() -> None:
    assert clock(caught_up=False).of(partition(open_=5)) == 1000.0


def test_at_the_end_of_the_log_time_passes() -> None:
    assert clock(caught_up=True).of(partition()) == pytest.approx(1060, abs=5)


@pytest.mark.parametrize("full", [{"open_": Consumer.max_open}, {"held": Consumer.max_held}])
def test_where_so_much_is_open_that_nothing_more_is_read_time_passes_too(full: dict[str, int]) -> None:
    """Else what is open by thousands of sessions would wait for a silence that can only come with what is behind it."""
    assert clock(caught_up=False).of(partition(**full)) == pytest.approx(1060, abs=5)
    assert (
        clock(caught_up=False, undelivered=1).of(partition(**full)) == 1000.0
    )  # it waits for the broker, not for a silence


def test_a_record_weighs_from_when_it_is_taken_until_it_is_done() -> None:
    assignment, stage = Assignment(TP("t", 0), 1, "me", 0, ""), SimpleNamespace(counts={"done": 0}, tracer=None)
    long, void = (
        SimpleNamespace(key=b"a", partition=0, offset=at, value=value) for at, value in enumerate([b"long", None])
    )
    units = [Unit(stage, raw, assignment, Source(raw.offset)) for raw in (long, void)]  # type: ignore[arg-type]
    assert assignment.held == 4
    for unit in units:
        unit.release()
    assert assignment.held == 0
