"""The extra `onnx`: sentences in, verdicts of the transformer and of the cascade out."""

from __future__ import annotations

import sys
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cascade import Cascade, model_of
from pipeline.classifier import Classifier, default_model, probability
from pipeline.errors import RagError
from pipeline.questions import detect, thresholds
from pipeline.transformer import ARTEFACT, Card, default_transformer, read_transformer
from tests.unit.test_questions import ODD

pytestmark = pytest.mark.unit

UNSEEN = ["have you any of the blue ones left", "right and then it's on your left", "他去哪儿了", "这个我们下次再说"]


class Counted:
    """Judges as another does and counts how often it is asked."""

    def __init__(self, judge: Classifier) -> None:
        self.judge, self.asked = judge, 0
        self.name, self.tables = judge.name, judge.tables

    def log_odds(self, sentence: str, chinese: bool, marked: bool = False) -> float:
        self.asked += 1
        return self.judge.log_odds(sentence, chinese, marked)


@pytest.mark.parametrize("model", ["onnx", "cascade"])
@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("so how many people are there in the team", True),
        ("have you any of the blue ones left", True),
        ("This is fine.", False),
        ("I know what you mean.", False),
        ("我想知道退款要多久", True),
        ("他去哪儿了", True),
        ("我什么都不要", False),
        ("这样就可以了。", False),
    ],
)
def test_questions_and_statements_are_told_apart(model: str, text: str, asks: bool) -> None:
    verdict = detect(text, model=model)
    assert verdict.is_question is asks
    assert "transformer-" in verdict.model and verdict.reason


def test_the_transformer_is_asked_only_where_the_linear_model_is_unsure() -> None:
    linear, card = default_model(), default_transformer().card
    for text in (*UNSEEN, "what time is it", "okay", "好的", "你们周末开门吗"):
        chinese = not text.isascii()
        second = Counted(default_transformer())
        odds, first = Cascade(linear, second, card).log_odds(text, chinese), linear.log_odds(text, chinese)
        assert second.asked == (card.unsure[0] < probability(first) < card.unsure[1])
        between = sorted((first, second.judge.log_odds(text, chinese)))
        assert between[0] - 1e-9 <= odds <= between[1] + 1e-9 if second.asked else odds == first


@pytest.mark.parametrize("model", ["onnx", "cascade"])
def test_a_question_mark_counts_as_in_the_linear_model(model: str) -> None:
    for text in ("the second one", "明天下午三点"):
        assert not detect(text, model=model).is_question
        assert detect(f"{text}?", model=model).is_question
        assert detect(f"{text}.", model=model).score == detect(text, model=model).score


def test_profiles_are_in_order_with_every_model() -> None:
    for lang in ("en", "zh"):
        lines = [thresholds(profile, "cascade")[lang] for profile in ("eager", "balanced", "strict")]
        assert lines == sorted(lines)


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_odd_text_gets_a_verdict(text: str) -> None:
    verdict = detect(text, model="onnx")
    assert 0.0 <= verdict.score <= 1.0 and verdict.reason


@settings(max_examples=40)
@given(st.text(alphabet=st.characters(), max_size=200))
def test_any_text_gets_a_verdict(text: str) -> None:
    assert 0.0 <= detect(text, model="onnx").score <= 1.0


def test_the_artefact_is_small_and_says_what_it_needs() -> None:
    artefact = resources.files("pipeline").joinpath("models", ARTEFACT).read_bytes()
    assert len(artefact) <= 25_000_000
    assert isinstance(read_transformer(artefact).card, Card)


@pytest.mark.parametrize("missing", ["onnxruntime", "tokenizers"])
def test_without_the_extra_the_error_says_how_to_install_it(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(RagError, match=rf"need {missing}: pip install 'realtime-rag\[onnx\]'"):
        read_transformer(b"")


def test_a_model_that_there_is_not_is_named() -> None:
    with pytest.raises(ValueError, match="no question model 'huge'; there are: linear, onnx, cascade"):
        model_of("huge")
