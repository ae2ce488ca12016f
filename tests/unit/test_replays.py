"""What a replay writes of the records of a range, and what it is expected to ask."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.batches import Place, place_of
from pipeline.cascade import model_of
from pipeline.profiles import read_profile
from pipeline.questions import detect
from pipeline.replays import Estimate, Range, Replay, Written, parse_offsets, replay_session
from pipeline.sentences import DEFAULT_RULES
from pipeline.verdicts import judge
from topics.messages import Ask, AsrChunk, Control, End, Endpointing, NotAQuestion, Question, Sentence, Transcript

pytestmark = pytest.mark.unit

CALL: list[Transcript] = [
    AsrChunk(text="Good evening.", is_final=False),
    AsrChunk(text="Good evening. When does", id="1"),
    AsrChunk(text="the last train leave?", id="2"),
    Control(action="cancel", question_id="call/3.21"),
    Control(action="instant_query", id="3"),
    Ask(text="Is it late?"),
    Control(action="stop"),
    End(),
]


def replayed(records: list[Transcript], **options: str) -> list[Written]:
    replay = Replay("night", **options)
    taken = [replay.take("call", offset, 10.0 + offset, record) for offset, record in enumerate(records)]
    return [*filter(None, taken), *replay.ends()]


def test_everything_said_is_written_at_its_time_under_the_run_with_the_place_it_had_live() -> None:
    first, second, *_ = replayed(CALL)
    assert first == Written("night/call", 10.0, CALL[0], "call/0")
    assert second == Written("night/call", 11.0, CALL[1], "call/1")


def test_a_session_ends_where_the_range_does_and_there_only() -> None:
    ends = [written for written in replayed([*CALL, AsrChunk(text="And so on.")]) if isinstance(written.record, End)]
    assert ends == [Written("night/call", 18.0, End())]


def test_an_instant_query_asks_what_was_said_last_and_cancel_and_stop_are_left_out() -> None:
    written = [entry.record for entry in replayed(CALL)]
    assert written == [*CALL[:3], Ask(text="the last train leave?", id="3"), CALL[5], End()]
    replay = Replay("night")
    assert [replay.take("call", 0, 0.0, record) for record in (CALL[3], CALL[4], CALL[6])] == [None] * 3
    assert (replay.records, replay.left_out, replay.sessions) == (0, 3, 0)


def test_another_profile_judges_every_chunk() -> None:
    chunks = [entry.record for entry in replayed(CALL, profile="strict") if isinstance(entry.record, AsrChunk)]
    assert {chunk.profile for chunk in chunks} == {"strict"}


def test_another_model_hears_every_chunk_by_the_profile_that_its_session_had() -> None:
    def profiles(call: list[Transcript], **options: str) -> list[str | None]:
        return [entry.record.profile for entry in replayed(call, **options) if isinstance(entry.record, AsrChunk)]

    call: list[Transcript] = [AsrChunk(text="Hello.", profile="strict"), AsrChunk(text="How much?")]
    assert profiles(call, model="onnx") == ["strict; model=onnx"] * 2
    assert profiles(call[1:], model="onnx") == ["model=onnx"]
    assert profiles(call, profile="all", model="onnx") == ["all; model=onnx"] * 2


@pytest.mark.parametrize("session", ["call-7", "a/b", "12", "3.9", "100%", "t/12", "%2F", "٣"])
def test_a_replayed_session_is_of_its_run_and_no_item_whatever_its_name(session: str) -> None:
    assert place_of(replay_session("night", session)) == Place("night", None)


def test_two_sessions_never_become_one() -> None:
    names = ["a/b", "a%2Fb", "a%252Fb", "12", "%312", "%%312"]
    assert len({replay_session("night", name) for name in names}) == len(names)


@pytest.mark.parametrize("text", ["3", "3:5", "3:9-5", "x:1-2", "3:1-2 4:1-2", ""])
def test_offsets_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="PARTITION:FIRST-LAST"):
        parse_offsets(text)


def test_a_range_holds_what_fits_every_part_of_it() -> None:
    of = Range(session="call", since=10.0, until=20.0, partition=3, first=5, last=7)
    assert of.holds("call", 3, 5, 10.0) and of.holds("call", 3, 7, 19.9)
    misses = [("other", 3, 5, 10.0), ("call", 2, 5, 10.0), ("call", 3, 8, 10.0), ("call", 3, 4, 10.0)]
    misses += [("call", 3, 5, 9.9), ("call", 3, 5, 20.0)]
    assert not any(of.holds(*place) for place in misses)
    assert Range().holds("any", 0, 0, 0.0)


def test_the_estimate_counts_what_cutting_and_judging_finds() -> None:
    estimate = Estimate()
    for offset, written in enumerate(replayed([*CALL[:3], CALL[2], *CALL[4:]])):
        estimate.add(offset, written)
    sentences = ["Good evening.", "When does the last train leave?"]
    verdicts = [judge(Sentence(text=text, ended_by="mark", offsets=[0])) for text in sentences]
    assert [type(verdict) for verdict in verdicts] == [NotAQuestion, Question]
    assert (estimate.finals, estimate.questions) == (2, 3)  # one found, one by instant_query, one ask


@pytest.mark.parametrize(("profile", "questions"), [("all", 2), ("off", 0)])
def test_the_estimate_judges_by_the_profile_also_what_the_end_closes(profile: str, questions: int) -> None:
    estimate = Estimate()
    for offset, written in enumerate(replayed([AsrChunk(text="I came. And I saw")], profile=profile)):
        estimate.add(offset, written)
    assert estimate.questions == questions


def asked(records: list[Transcript], *settings: Any, **options: str) -> int:
    estimate = Estimate(*settings)
    for offset, written in enumerate(replayed(records, **options)):
        estimate.add(offset, written)
    return estimate.questions


def test_the_estimate_cuts_by_the_rules_of_the_deployment_and_of_the_session() -> None:
    long = "we could meet at the station at ten or at the harbour at noon if that is better for you"
    everything = read_profile("all")
    assert asked([AsrChunk(text=long)], DEFAULT_RULES, everything) == 1
    assert asked([AsrChunk(text=long)], DEFAULT_RULES._replace(max_chars=40), everything) > 1
    own = AsrChunk(text=long, endpointing=Endpointing(max_chars=40))
    assert asked([own], DEFAULT_RULES, everything) > 1


def test_the_estimate_hears_what_was_said_before_as_the_stage_does() -> None:
    profile = read_profile("wake_phrase; phrases=hey river")
    call: list[Transcript] = [AsrChunk(text="Hey river."), AsrChunk(text="When does the last train leave?")]
    assert asked(call, DEFAULT_RULES, profile) == 1
    assert asked(call[1:], DEFAULT_RULES, profile) == 0


def test_the_estimate_hears_by_the_model_of_the_deployment_or_of_the_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []

    def noted(*words: Any, **options: Any) -> Any:
        verdict = detect(*words, **options)
        heard.append(verdict.model)
        return verdict

    monkeypatch.setattr("pipeline.replays.detect", noted)
    call: list[Transcript] = [AsrChunk(text="When does the last train leave?")]
    asked(call, DEFAULT_RULES, read_profile(""), "cascade")
    asked(call, DEFAULT_RULES, read_profile(""), "linear", model="onnx")
    assert heard == [model_of("cascade").name, model_of("onnx").name]
