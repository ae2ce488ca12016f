"""A question and the sentence before it in, what is asked out."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.questions import Last
from pipeline.joined import asked_with, has_content, leans
from pipeline.profiles import read_profile
from pipeline.verdicts import judge
from tests.unit.test_questions import ODD
from topics.messages import NotAQuestion, Question, Record, Sentence
from topics.sources import Source

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("before", "text", "asked"),
    [
        ("We could rent the hall.", "And how much?", "We could rent the hall. how much?"),
        ("we could rent the hall", "okay so why", "we could rent the hall, why"),
        ("We could rent the hall.", "What does that mean?", "We could rent the hall. What does that mean?"),
        ("退款要七个工作日", "为什么呢？", "退款要七个工作日，为什么呢？"),
        ("退款要七个工作日。", "那要多少钱", "退款要七个工作日。那要多少钱"),
        ("那个我想问一下退款要多久？", "为什么", "退款要多久？为什么"),
        ("We could rent the hall.", "How much is the hall?", "How much is the hall?"),
        ("We could rent the hall.", "Can she rent it?", "Can she rent it?"),
        ("退款要七个工作日", "那发票呢", "那发票呢"),
        ("", "and how much?", "how much?"),
        (" ", "为什么呢？", "为什么呢？"),
    ],
)
def test_a_question_without_its_own_content_is_asked_with_the_sentence_before(
    before: str, text: str, asked: str
) -> None:
    assert asked_with(text, before) == asked


@pytest.mark.parametrize("text", ["Okay.", "um, yeah", "mm-hmm", "嗯，好的。", "对对对", "And why?", "是吗？", "?", ""])
def test_nothing_leans_on_a_sentence_that_says_nothing(text: str) -> None:
    assert not has_content(text)


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_two_texts_give_something_to_ask(text: str, before: str) -> None:
    asked = asked_with(text, before)
    assert bool(asked.strip()) == bool(text.strip()) or leans(text)


def test_of_a_long_sentence_before_its_end_is_asked_along() -> None:
    assert asked_with("why?", "we could rent the hall " * 1_000).endswith("rent the hall, why?")
    assert len(asked_with("why?", "we could rent the hall " * 1_000)) < 500
    assert asked_with("why " * 5_000, "we could") == "why " * 4_999 + "why"


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_odd_text_is_judged_in_bounded_time(text: str) -> None:
    begun = time.perf_counter()
    for profile in ("all; speakers=*", "wake_phrase; phrases=what,um so um,那个"):
        output = judge(sentence(text, profile), text)
        assert isinstance(output, Question | NotAQuestion) and output.reason
    assert time.perf_counter() - begun < 1.0


def test_the_stage_joins_over_what_says_nothing_and_keeps_what_was_said() -> None:
    last, outputs = Last(), []
    for offset, text in enumerate(("We could rent the hall.", "Okay.", "And how much?", "Why?")):
        outputs.append(judge(sentence(text), last.said))
        last.hear(Source(offset, len(text)), outputs[-1])
    assert [type(output) for output in outputs] == [NotAQuestion, NotAQuestion, Question, Question]
    assert [getattr(output, "original", None) for output in outputs[2:]] == ["And how much?", "Why?"]
    assert [getattr(output, "text", None) for output in outputs[2:]] == [
        "We could rent the hall. how much?",
        "We could rent the hall. Why?",
    ]


def test_what_a_wake_phrase_called_for_is_asked_without_it() -> None:
    profile = "wake_phrase; phrases=hey river"
    said = "okay hey river could you tell me how much it is"
    assert asked_of(judge(sentence(said, profile))) == ("how much it is", said)
    assert asked_of(judge(sentence("how much", profile), "hey river")) == ("how much", "how much")


def test_a_sentence_that_names_no_profile_is_judged_by_the_deployments() -> None:
    assert isinstance(judge(sentence("the hall"), default=read_profile("all")), Question)
    assert isinstance(judge(sentence("the hall", "off"), default=read_profile("all")), NotAQuestion)


def sentence(text: str, profile: str | None = None) -> Sentence:
    return Sentence(text=text, ended_by="mark", offsets=[0], profile=profile)


def asked_of(output: Record) -> tuple[str, str]:
    assert isinstance(output, Question)
    return output.text, output.original
