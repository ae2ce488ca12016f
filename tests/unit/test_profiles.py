"""A profile's text in, who is listened to and what wakes out."""

from __future__ import annotations

import pytest

from gateway.problems import Problem
from gateway.sessions import Sessions
from gateway.upgrade import read_wish
from pipeline.errors import ConfigurationError
from pipeline.profiles import Profile, read_profile, woken
from pipeline.questions import detect
from pipeline.settings import Settings

pytestmark = pytest.mark.unit

RIVER = "wake_phrase; phrases=hey river,小河"


def test_what_a_profile_does_not_name_is_the_deployments() -> None:
    default = Profile("strict", ("hey river",), frozenset("A"))
    assert read_profile(None, default) == read_profile("", default) == default
    assert read_profile("wake_phrase", default) == default._replace(name="wake_phrase")
    assert read_profile("speakers=B,C", default) == default._replace(speakers=frozenset("BC"))
    assert read_profile("all;speakers=*", default) == default._replace(name="all", speakers=frozenset())


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("bold", "no detector profile 'bold'; there are: eager, balanced, strict, all, wake_phrase, off"),
        ("strict; speaker=A", "no part 'speaker'; there are: phrases, speakers, model"),
        ("wake_phrase", "needs phrases"),
        ("wake_phrase; phrases=?!,", "needs phrases"),
    ],
)
def test_a_profile_that_cannot_be_meant_is_refused_everywhere(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        detect("how much is it", profile=text)
    with pytest.raises(ConfigurationError, match=f"QUESTION_PROFILE='.*{error}"):
        Settings.from_env({"QUESTION_PROFILE": text})
    with pytest.raises(Problem) as refused:
        read_wish({"profile": text}, "me", Sessions())
    assert refused.value.status == 400


def test_a_profile_names_the_model_that_hears_but_for_a_client_that_does_not_choose_it() -> None:
    assert detect("how much is it", profile="strict; model=onnx").model == detect("how much is it", model="onnx").model
    with pytest.raises(ValueError, match="no question model 'huge'; there are: linear, onnx, cascade"):
        read_profile("model=huge")
    with pytest.raises(Problem, match="see QUESTION_MODEL"):
        read_wish({"profile": "strict; model=onnx"}, "me", Sessions())


def test_an_unknown_model_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="QUESTION_MODEL='huge' is not one of: linear, onnx, cascade"):
        Settings.from_env({"QUESTION_MODEL": "huge"})
    with pytest.raises(ConfigurationError, match="SENTENCE_MODEL='cascade' is not one of: linear, onnx"):
        Settings.from_env({"SENTENCE_MODEL": "cascade"})


def test_a_session_may_use_the_phrases_of_its_deployment() -> None:
    default = read_profile(Settings.from_env({"QUESTION_PROFILE": "balanced; phrases=hey river"}).question_profile)
    assert read_wish({"profile": "wake_phrase"}, "me", Sessions(), default).profile == "wake_phrase"


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("hey river how long is it", "how long is it"),
        ("OK, Hey, RIVER! How long is it?", "How long is it?"),
        ("hey river no hey river stop", "stop"),
        ("小河，多长？", "多长？"),
        ("那小河多长", "多长"),
        ("hey river", ""),
        ("they rivered", None),
        ("hey rivers run", None),
    ],
)
def test_a_wake_phrase_is_heard_whatever_marks_stand_in_it(text: str, rest: str | None) -> None:
    found = woken(text, ("hey river", "小河"))
    assert (found and found.rest) == rest


def test_what_follows_a_wake_phrase_is_asked_and_nothing_else() -> None:
    assert detect("Hey River, tell us about the hall.", profile=RIVER)[:3:2] == (True, "said to 'hey river'")
    assert detect("how much is it?", profile=RIVER)[:3:2] == (False, "said without a wake phrase")
    assert detect("Hey River.", profile=RIVER)[:3:2] == (False, "'hey river' waits for what is said next")
    assert detect("the hall", "Hey River.", profile=RIVER)[:3:2] == (True, "said after 'hey river'")
    assert not detect("the hall", "Hey River, go on.", profile=RIVER).is_question


def test_only_the_named_speakers_ask() -> None:
    for profile in ("balanced; speakers=A,1", "all; speakers=A,1"):
        for speaker, asks in (("A", True), (1, True), ("B", False), (None, False)):
            assert detect("how much is it?", profile=profile, speaker=speaker).is_question is asks
    assert detect("how much is it?", profile="strict; speakers=A", speaker="B").reason == (
        "this speaker is not listened to"
    )
