"""`realtime-rag questions score` and `train questions`: the detector for people, for measuring and for training."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ops.cli import app
from pipeline.errors import RagError
from pipeline.questions import MODELS, detect, thresholds

pytestmark = pytest.mark.contract

ROWS = [{"text": "how long does a refund take", "lang": "en"}, {"text": "这个方案我们下周一再讨论。", "lang": "zh"}]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def score(*words: str, given: str = "") -> Result:
    return CliRunner().invoke(app, ["questions", "score", *words], input=given)


@pytest.mark.parametrize("model", MODELS)
def test_score_prints_a_probability_a_line_in_order(model: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(LINES)
    result = score(str(file), "--model", model)
    assert result.output == score("--model", model, given=LINES).output
    expected = [detect(row["text"], lang=row["lang"], model=model).score for row in ROWS]
    assert [float(line) for line in result.output.split()] == pytest.approx(expected, abs=1e-6)
    assert 0.0 <= expected[1] < 0.2 < 0.8 < expected[0] <= 1.0


@pytest.mark.parametrize(
    ("words", "given", "error"),
    [
        ((), json.dumps(ROWS[0]) + "\nnot json\n", "Line 2 "),
        (("nowhere.jsonl",), "", "nowhere.jsonl cannot be read"),
        (("--model", "huge"), LINES, "no question model 'huge'; there are: linear, onnx, cascade"),
    ],
)
def test_score_says_what_it_cannot_use(words: tuple[str, ...], given: str, error: str) -> None:
    result = score(*words, given=given)
    assert isinstance(result.exception, RagError)
    assert error in str(result.exception)


def test_a_verdict_is_explained() -> None:
    answer, probability, reason, model = score("--verdict", "How long does a refund take?").output.strip().split(" · ")
    assert (answer, reason) == ("question", "starts with 'how long'")
    assert 0.5 < float(probability) <= 1.0
    assert model.startswith("linear-")


@pytest.mark.parametrize("model", MODELS)
def test_thresholds_are_printed_for_both_languages(model: str) -> None:
    fixed = thresholds(model=model)
    assert score("--thresholds", "--model", model).output == f"en={fixed['en']:g} zh={fixed['zh']:g}\n"


@pytest.mark.parametrize("command", [["-m", "ops.cli", "train", "questions"], ["-m", "bench.questions"]])
def test_without_the_data_a_line_says_what_is_missing(command: list[str], tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, *command, "--data", str(tmp_path)], capture_output=True, text=True)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert f"{tmp_path}/" in ended.stderr and "is missing" in ended.stderr


def test_training_says_that_it_needs_the_repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "bench.train_questions", None)
    result = CliRunner().invoke(app, ["train", "questions", "--data", str(tmp_path)])
    assert isinstance(result.exception, RagError)
    assert "in a checkout of the repository" in str(result.exception)
