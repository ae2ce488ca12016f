"""What is counted of the answers that are stored."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from agents.metrics import count_answer
from topics.messages import AnswerRecord, Begin, Done, Piece, Stopped, Why

pytestmark = pytest.mark.unit


def count(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"rag_{name}", labels) or 0.0


@pytest.mark.parametrize("why", ["ok", "error", "cancelled", "interrupted", "expired"])
def test_a_question_counts_by_how_it_ended(why: Why) -> None:
    before = count("questions_total", outcome=why)
    count_answer(Done(attempt=1, index=0, why=why))
    assert count("questions_total", outcome=why) == before + 1


@pytest.mark.parametrize(
    "record", [Begin(question="", attempt=1, withdrawn=["1.2", "3.4"]), Stopped(withdrawn=["1.2", "3.4"])]
)
def test_withdrawn_questions_are_interrupted_ones(record: AnswerRecord) -> None:
    before = count("questions_total", outcome="interrupted")
    count_answer(record)
    assert count("questions_total", outcome="interrupted") == before + 2


def test_the_wait_for_the_first_piece_is_counted_once_an_answer() -> None:
    before = count("first_piece_seconds_count"), count("first_piece_seconds_sum")
    count_answer(Piece(attempt=1, index=0, text="a"))
    count_answer(Done(attempt=1, index=1, why="ok", timings={"first_piece": 0.5}))
    count_answer(Done(attempt=1, index=0, why="error"))
    assert (count("first_piece_seconds_count"), count("first_piece_seconds_sum")) == (before[0] + 1, before[1] + 0.5)
