"""`realtime-rag questions`: the detector for people and for measuring."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from ops.cli import app
from pipeline.errors import RagError

pytestmark = pytest.mark.contract

ROWS = [{"text": "how long does a refund take", "lang": "en"}, {"text": "这个方案我们下周一再讨论。", "lang": "zh"}]


def test_score_prints_a_probability_a_line_in_order() -> None:
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    result = CliRunner().invoke(app, ["questions", "score"], input=lines)
    asked, told = (float(line) for line in result.output.split())
    assert 0.0 <= told < asked <= 1.0


def test_score_names_the_line_that_is_none_of_ours() -> None:
    result = CliRunner().invoke(app, ["questions", "score"], input=json.dumps(ROWS[0]) + "\nnot json\n")
    assert isinstance(result.exception, RagError)
    assert str(result.exception).startswith("Line 2 ")


def test_judge_says_verdict_score_and_reason() -> None:
    result = CliRunner().invoke(app, ["questions", "judge", "How long does a refund take?"])
    verdict, score, reason = result.output.strip().split(" · ")
    assert verdict == "question"
    assert 0.5 < float(score) <= 1.0
    assert reason


def test_thresholds_are_printed_for_both_languages() -> None:
    result = CliRunner().invoke(app, ["questions", "thresholds"])
    assert {line.split()[0] for line in result.output.splitlines()} == {"en", "zh"}
