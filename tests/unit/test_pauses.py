"""Record times of chunks in, silences between words out, and what they say about the end of a sentence."""

from __future__ import annotations

import doctest

import pytest

from pipeline import heard as heard_module
from pipeline import pauses as pauses_module
from pipeline.pauses import Growth, Spoken, before, evidence, grow, of_silence, pauses
from pipeline.sentences import Cut, Heard, Open, flush, push, talk

pytestmark = pytest.mark.unit

SAID = "we have the keys for the room you can take them with you"


def growing(text: str, pace: float, silences: dict[int, float]) -> tuple[Growth, float]:
    """A segment heard word by word, and when it was whole; `silences` are seconds before some of its words."""
    said, growth, at = text.split(), None, 0.0
    for count in range(1, len(said) + 1):
        at += silences.get(count - 1, 0.0) + pace
        growth = grow(growth, count, "s", " ".join(said[:count]), at)
    assert growth is not None
    return growth, at


def cut(growth: Growth | None, at: float, text: str = SAID) -> list[str]:
    """The sentences of one final chunk without marks."""
    state, cuts = push(Open(), Heard(99, text, at, segment="s", growth=growth))
    return [one.text for one in [*cuts, *flush(state)[1]]]


def test_a_silence_between_two_words_of_a_final_parts_what_was_said_without_one() -> None:
    assert cut(*growing(SAID, 0.35, {7: 0.7})) == ["we have the keys for the room", "you can take them with you"]
    assert cut(*growing(SAID, 0.35, {})) == [SAID]


def test_a_silence_in_the_middle_of_a_phrase_parts_nothing() -> None:
    text = "how long does a refund take for the blue one"
    assert cut(*growing(text, 0.35, {4: 0.5}), text) == [text]


def test_chunks_that_come_faster_than_people_speak_say_nothing_about_silence() -> None:
    growth, at = growing(SAID, 0.01, {7: 0.05})
    assert pauses([Spoken(SAID, 0, at, growth=growth)]) == []
    assert cut(growth, at) == cut(None, at)


def test_of_words_that_came_at_once_nobody_knows_which_one_the_silence_was_before() -> None:
    growth = grow(grow(None, 1, None, "we are done", 1.0), 2, None, "we are done and what now", 3.0)
    (pause,) = pauses([Spoken("we are done and what now", 0, 3.0, growth=growth)])
    assert (pause.begin, pause.places) == (11, 3) and pause.seconds == pytest.approx(2.0 - 13 / 14)
    assert 0 < evidence([pause], 11, 12, 3.0) < of_silence(pause.seconds)
    assert evidence([pause], 11, 12, 3.0) == evidence([pause], 15, 16, 3.0) and evidence([pause], 2, 3, 3.0) == 0.0


def test_where_two_chunks_meet_the_silence_ends_with_the_first_word_of_the_second() -> None:
    growth = grow(grow(None, 2, None, "and", 2.0), 3, None, "and then we left", 5.0)
    found = [pause for pause in pauses([Spoken("we ate", 0, 1.0), Spoken("and then we left", 7, 5.0, 0, growth)])]
    assert found[-1].meets and found[-1].begin == 7
    assert found[-1].seconds == pytest.approx(1.0 - 3 / 14)


def test_a_long_silence_says_that_a_sentence_ended_and_none_that_it_goes_on() -> None:
    values = [of_silence(seconds) for seconds in (-1.0, 0.0, 0.2, 0.5, 5.0)]
    assert values == sorted(values) and values[0] < 0 < values[3] and values[3] <= values[4] < 5
    assert before(1.0, "so", 1.5) == pytest.approx(0.5 - 2 / 14)


def test_a_segment_that_is_heard_otherwise_or_twice_keeps_its_first_times() -> None:
    growth = grow(grow(None, 1, "s", "how much", 1.0), 2, "s", "how much is", 1.4)
    assert grow(growth, 3, "s", "how much is", 2.0) is growth
    assert grow(growth, 3, "s", "how must", 2.0) is growth  # shorter: a word is heard again
    assert grow(growth, 3, "t", "yes", 2.0) == Growth(3, "t", ((3, 2.0),))
    assert grow(growth, 3, "s", "no", 2.0).offset == 3  # a recogniser without names of segments begins a new one


def test_a_flood_of_interims_is_bounded() -> None:
    growth = None
    for count in range(1, 2000):
        growth = grow(growth, count, None, "x" * count, float(count))
    assert growth is not None and len(growth.steps) < 300


def test_what_is_left_of_a_chunk_has_its_silences_still() -> None:
    text = f"{SAID} we have the keys"
    growth, at = growing(text, 0.35, {7: 0.7, 13: 0.8})
    chunk = Heard(99, text, at, segment="s", growth=growth)
    state, cuts = push(Open(), chunk)
    assert [one.text for one in cuts] == ["we have the keys for the room", "you can take them with you"]
    again, rest = push(Open(), chunk, after=(cuts[0].offset, cuts[0].char))
    assert ([*rest], again) == (cuts[1:], state)


def test_a_silence_before_the_next_interim_parts_it_from_the_final_and_none_joins_them() -> None:
    def ended(at: float) -> list[Cut]:
        state, _ = push(Open(), Heard(1, "so that is fine for me", 1.0))
        return talk(state, Heard(2, "we can", at))[1]

    assert [one.ended_by for one in ended(2.1)] == ["words"]
    assert ended(1.4) == []


@pytest.mark.parametrize("module", [pauses_module, heard_module], ids=lambda module: module.__name__)
def test_the_examples_in_the_docstrings_hold(module) -> None:
    assert doctest.testmod(module).failed == 0
