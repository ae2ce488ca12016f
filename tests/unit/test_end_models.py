"""The models that cut speech without marks: words in, log-odds that a sentence ends behind each of them out."""

from __future__ import annotations

import math
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import end_models
from pipeline.end_models import LINES, MODELS, reader_of
from pipeline.endings import default_model, words
from pipeline.errors import RagError
from pipeline.sentences import Cut, Heard, Open, Rules, flush, push
from pipeline.transformer import AT_ONCE, BEHIND, default_transformer, read_transformer

pytestmark = pytest.mark.unit

LONG = "so we went to the market and then my sister said that she would rather stay at home" + " and" * 300


def ends(model: str, text: str) -> list[float]:
    """The log-odds behind each word of a text."""
    heard = words(text)
    reading = reader_of(model)(heard)
    return [reading.ends(place) for place in range(1, len(heard) + 1)]


def cut(model: str, *texts: str) -> list[Cut]:
    """The sentences of final chunks without marks."""
    state, cuts = Open(), []
    for offset, text in enumerate(texts):
        state, ended = push(state, Heard(offset, text, 0.4 * offset), Rules(model=model))
        cuts += ended
    return cuts + flush(state)[1]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("before", "question"),
    [
        ("i am in the office today", "do you know when it opens"),
        ("我觉得这个方案很不错", "那你什么时候能来"),
    ],
)
def test_both_models_part_a_statement_from_the_question_behind_it(model: str, before: str, question: str) -> None:
    assert cut(model, before + (" " if before.isascii() else "") + question)[-1].text == question


@pytest.mark.parametrize("model", MODELS)
def test_both_models_join_the_finals_of_one_question(model: str) -> None:
    (whole,) = cut(model, "how long does a refund take for the", "blue one")
    assert whole.text == "how long does a refund take for the blue one"


def test_an_end_is_likelier_where_one_is_in_what_both_models_read() -> None:
    odds = ends("onnx", "i am in the office today do you know when it opens")
    assert max(range(len(odds) - 1), key=odds.__getitem__) == 5  # behind "today"


def test_the_linear_model_reads_a_few_words_behind_a_place_and_at_the_end_none() -> None:
    heard = words("we are done here what time is it now")
    reading = reader_of("linear")(heard)
    assert reading.ends(4) == default_model().gap(heard[:4], heard[4:8])
    assert reading.ends(len(heard)) == default_model().end(heard)


def test_a_chinese_word_is_never_cut_in_two() -> None:
    odds = ends("onnx", "我想知道退款要多久")
    assert odds[1] == odds[2] < min(odds[3:4])  # inside of 想知道


def test_long_speech_is_read_in_parts_that_agree_where_they_meet() -> None:
    model = default_transformer()
    places, odds = model.ends(LONG)
    assert len(places) == len(odds) and places[-1] == len(LONG)
    part = LONG[: places[AT_ONCE - 1]]
    assert odds[: AT_ONCE - BEHIND] == pytest.approx(model.ends(part)[1][: AT_ONCE - BEHIND], abs=1e-4)


@settings(max_examples=40)
@given(st.text(alphabet=st.characters(), max_size=200))
def test_any_text_gets_log_odds_behind_each_word(text: str) -> None:
    assert all(math.isfinite(odds) for odds in ends("onnx", text))


def test_every_model_has_its_lines_and_another_one_is_refused() -> None:
    assert set(LINES) == set(MODELS)
    with pytest.raises(ValueError, match="no sentence model 'huge'; there are: linear, onnx"):
        reader_of("huge")


def test_without_the_extra_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr(end_models, "default_transformer", lambda: read_transformer(b""))
    reader_of.cache_clear()
    with pytest.raises(RagError, match=r"onnxruntime: pip install 'realtime-rag\[onnx\]'"):
        reader_of("onnx")
