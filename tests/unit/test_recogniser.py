"""The played recogniser says all that was said, in order, piece by piece, and the same way every time."""

import dataclasses
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.recogniser import Habits, recognise
from ops.transcripts import Turn, Word

pytestmark = pytest.mark.unit

words = st.text("abcdefgh'-0123456789€ü", min_size=1, max_size=8)
english = st.lists(st.tuples(words, st.sampled_from(["", "", "", ",", ".", "?", '."'])), min_size=1, max_size=40).map(
    lambda pairs: " ".join(word + mark for word, mark in pairs)
)
chinese = st.text("会议的问题怎么办吗呢ab5 ，。？！“”", min_size=1, max_size=60).map(
    lambda text: " ".join(text.split())
)
turns = st.lists(
    st.one_of(
        st.builds(Turn, st.sampled_from("AB"), english.filter(bool), st.just("en")),
        st.builds(Turn, st.sampled_from("AB"), chinese.filter(bool), st.just("zh")),
    ),
    max_size=5,
)
habits = st.builds(
    Habits, split=st.floats(0, 1), merge=st.floats(0, 1), revise=st.floats(0, 1), longest=st.floats(0.2, 30)
)
few = settings(max_examples=40, deadline=None)
LONG = Turn("A", "What will this cost the schools of Wales in the coming two years? Nobody knows. " * 10, "en")


def bare(text: str) -> str:
    return "".join(text.split())


@few
@given(turns, st.integers(), habits)
def test_the_finals_hold_the_whole_text_in_order(turns, seed, habits):
    finals = [event.chunk["text"] for event in recognise(turns, seed, habits) if event.chunk["is_final"]]
    assert bare("".join(finals)) == bare("".join(turn.text for turn in turns))


@few
@given(turns, st.integers(), habits)
def test_events_are_in_order_of_time_with_ids_of_their_own_and_never_blank(turns, seed, habits):
    events = list(recognise(turns, seed, habits))
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert len({event.chunk["id"] for event in events}) == len(events)
    assert all(event.chunk["text"].strip() == event.chunk["text"] != "" for event in events)
    assert all(event.chunk["start_ms"] <= event.chunk["end_ms"] for event in events)


@few
@given(turns, st.integers())
def test_a_segment_is_growing_interims_and_then_one_final(turns, seed):
    segments = defaultdict(list)
    for event in recognise(turns, seed, Habits(revise=0)):
        segments[event.chunk["segment_id"]].append(event.chunk)
    for *interims, final in segments.values():
        assert final["is_final"]
        assert not any(chunk["is_final"] for chunk in interims)
        texts = [bare(chunk["text"]) for chunk in [*interims, final]]
        assert all(later.startswith(earlier) for earlier, later in zip(texts, texts[1:], strict=False))


@few
@given(turns, st.integers(), habits)
def test_the_same_seed_gives_the_same_events(turns, seed, habits):
    assert list(recognise(turns, seed, habits)) == list(recognise(turns, seed, habits))


@few
@given(turns, st.integers(), habits)
def test_without_punctuation_the_words_remain(turns, seed, habits):
    plain = dataclasses.replace(habits, drop_punctuation=True)
    finals = "".join(event.chunk["text"] for event in recognise(turns, seed, plain) if event.chunk["is_final"])
    said = "".join(turn.text for turn in turns)
    assert [letter for letter in finals if letter.isalnum()] == [letter for letter in said if letter.isalnum()]
    assert not set(finals) & set(".?,。？！")


def test_interims_come_about_every_300_ms_at_the_rate_of_speech():
    *interims, final = recognise([Turn("A", "one two three four five six", "en")], 1, Habits(split=0, revise=0))
    assert [round(event.at, 2) for event in interims] == [0.36, 0.71, 1.07, 1.43, 1.79]
    assert (round(final.at, 2), final.chunk["text"]) == (2.14, "one two three four five six")


def test_about_one_interim_in_ten_ends_in_a_word_that_is_heard_otherwise_later():
    events = [event.chunk for event in recognise([LONG], 3, Habits(split=0))]
    finals = {chunk["segment_id"]: chunk["text"] for chunk in events if chunk["is_final"]}
    interims = [chunk for chunk in events if not chunk["is_final"]]
    revised = [c for c in interims if not finals[c["segment_id"]].startswith((c["text"] + " ", c["text"] + "."))]
    assert 0.03 < len(revised) / len(interims) < 0.2


def test_finals_come_in_the_middle_of_a_sentence_when_asked_to():
    texts = [event.chunk["text"] for event in recognise([LONG], 1, Habits(split=1)) if event.chunk["is_final"]]
    assert sum(not text.endswith((".", "?")) for text in texts) >= 10


def test_timed_words_keep_their_times_and_a_silence_brings_a_final():
    spoken = (Word("When", 10.0, 10.2), Word("was", 10.3, 10.5), Word("that?", 11.5, 11.9))
    finals = [event for event in recognise([Turn("A", "When was that?", "en", spoken)]) if event.chunk["is_final"]]
    assert [(event.at, event.chunk["text"]) for event in finals] == [(10.5, "When was"), (11.9, "that?")]


def test_a_chunk_is_a_message_of_the_protocol():
    (event,) = recognise([Turn("Ann", "Yes.", "en")])
    assert event.chunk == {
        "type": "asr_chunk",
        "id": "c1",
        "text": "Yes.",
        "is_final": True,
        "segment_id": "s1",
        "speaker": "Ann",
        "lang": "en",
        "start_ms": 0,
        "end_ms": 357,
    }
