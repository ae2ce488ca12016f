"""Speech without marks, as Vosk, sherpa and CTC models give it: where sentences end in it."""

from __future__ import annotations

import doctest
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import endings, unmarked
from pipeline.end_models import MODELS
from pipeline.endings import default_model, read_model, words
from pipeline.sentences import Cut, Heard, Open, Rules, deadline, flush, push, silence, talk
from pipeline.unmarked import Ending, ending, has_marks, words_end

pytestmark = pytest.mark.unit


def heard(*texts: str, gap: float = 0.4, state: Open | None = None) -> tuple[Open, list[Cut]]:
    """What a session without marks gives for chunks that follow each other."""
    state, cuts = state or Open(), []
    for offset, text in enumerate(texts):
        state, ended = push(state, Heard(offset, text, gap * offset))
        cuts += ended
    return state, cuts


@pytest.mark.parametrize(
    ("before", "question"),
    [
        ("that is the price", "do you have any other questions"),
        ("我觉得这个方案很不错", "那你什么时候能来"),
    ],
)
def test_several_sentences_in_one_final_without_marks_are_parted_by_their_words(before: str, question: str) -> None:
    gap = " " if before.isascii() else ""
    state, cuts = heard(before + gap + question)
    assert gap.join(cut.text for cut in cuts) == before and {cut.ended_by for cut in cuts} == {"words"}
    assert flush(state)[1][0].text == question


def test_a_final_that_ends_in_mid_sentence_is_joined_with_its_rest() -> None:
    state, cuts = heard("how long does a refund take for the", "blue one")
    assert cuts == []
    assert flush(state)[1][0].text == "how long does a refund take for the blue one"


def test_a_session_that_writes_marks_is_never_cut_by_its_words() -> None:
    text = "that is the price do you have any other questions"
    assert heard(text)[1] != []
    state, cuts = heard("It is fine.", text)
    assert [cut.text for cut in cuts] == ["It is fine."] and state.punctuated


def test_what_looks_whole_waits_for_the_short_silence_and_what_does_not_for_the_long_one() -> None:
    whole, _ = heard("我想知道退款要多久")
    torn, _ = heard("and the price of the")
    assert whole.ending is Ending.WHOLE and deadline(whole) == pytest.approx(0.5)
    assert torn.ending is Ending.OPEN and deadline(torn) == pytest.approx(1.2)


def test_a_question_in_several_finals_is_one_question_without_marks_and_without_interims() -> None:
    for texts in (["我想知道退款", "要多久"], ["how much is", "it"], ["can you tell me", "how long a refund takes"]):
        _, cuts = heard(*texts, gap=1.0)
        assert cuts == [], texts


def test_where_marks_come_a_sentence_without_one_waits_while_its_rest_is_being_spoken_but_not_for_ever() -> None:
    state, _ = heard("Well, and the price of the")
    for at in (0.8, 1.6, 2.4):
        state, cuts = talk(state, Heard(1, "blue", at))
        assert cuts == []
    assert deadline(state) == pytest.approx(3.6)
    state, cuts = push(state, Heard(2, "blue one", 3.0))
    assert cuts == [] and flush(state)[1][0].text == "Well, and the price of the blue one"
    state, _ = heard("Well, and the price of the")
    for step in range(1, 20):
        state, cuts = talk(state, Heard(step, "blue", step * 0.6))
        if cuts:
            break
    [cut] = cuts
    assert cut.text == "Well, and the price of the" and cut.cut_at == pytest.approx(10.0)


def test_where_none_come_it_waits_only_as_long_as_its_words_are_torn_or_go_on() -> None:
    """A question that is whole is asked in time, so neither a pause in it nor what is said after it may hold it."""
    state, _ = heard("and the price of the")
    state, cuts = talk(state, Heard(1, "blue", 0.8))
    assert cuts == [] and deadline(state) == pytest.approx(2.0)
    assert silence(state, 2.0)[1][0].text == "and the price of the"
    state, _ = heard("what are")
    state, cuts = talk(state, Heard(1, "your experiences with remote", 1.1))
    state, cuts = push(state, Heard(2, "your experiences with remote controls", 1.6))
    assert cuts == [] and flush(state)[1][0].text == "what are your experiences with remote controls"
    state, _ = heard("how long does a refund take")
    assert talk(state, Heard(1, "yesterday", 0.3))[0].ending is Ending.UNSURE
    _, cuts = talk(state, Heard(1, "i think we should talk", 0.4))
    assert [(cut.text, cut.cut_at) for cut in cuts] == [("how long does a refund take", 0.4)]


def test_a_question_is_asked_in_time_whatever_is_said_after_it() -> None:
    state, _ = heard("我想知道退款要多久")
    for at in (0.4, 0.8):
        state, cuts = talk(state, Heard(1, "我", at))
        assert cuts == []
    assert silence(state, 1.2)[1][0].text == "我想知道退款要多久"


def test_the_next_words_end_a_sentence_before_their_final_chunk_comes() -> None:
    state, _ = heard("the price of the blue")
    state, cuts = talk(state, Heard(1, "do you have any idea", 0.4))
    assert [(cut.text, cut.ended_by, cut.cut_at) for cut in cuts] == [("the price of the blue", "words", 0.4)]


def test_another_speaker_who_begins_to_speak_ends_the_sentence() -> None:
    state, _ = push(Open(), Heard(0, "and the price of the", 1.0, "anna"))
    state, cuts = talk(state, Heard(1, "well", 1.4, "ben"))
    assert [(cut.text, cut.ended_by) for cut in cuts] == [("and the price of the", "speaker")] and state == Open()


def test_a_flood_of_interims_is_not_kept() -> None:
    state, _ = heard("and the price of the")
    for step in range(1000):
        state, cuts = talk(state, Heard(step + 1, "blue " * 2000, step / 1000))
        assert cuts == []
    assert len(state.fragments) < 200 and all(len(fragment.heard.text) <= 200 for fragment in state.fragments)


def test_a_blank_interim_is_nobody_speaking() -> None:
    state, _ = heard("and the price of the")
    assert talk(state, Heard(1, "  ", 0.4)) == (state, [])


@pytest.mark.parametrize("text", ["", "?!", "\u200b", "\ud800", "شكرا", "👍" * 50, "x" * 20_000, "多" * 20_000])
def test_any_text_gets_a_decision(text: str) -> None:
    assert ending(text, punctuated=False) in Ending
    found, looked = words_end(text[:464], [], 0)
    assert (found is None or 0 < found <= 464) and looked >= 0


TEXT = st.lists(
    st.sampled_from(["okay", "so", "how much", "is it", "we", "don't", "多久", "可以", "yes", "3.5", "um"]), max_size=12
)


@pytest.mark.parametrize("model", MODELS)
@given(
    texts=st.lists(TEXT.map(" ".join), max_size=6),
    gaps=st.lists(st.sampled_from([0.0, 0.3, 0.6, 1.3]), min_size=6, max_size=6),
)
def test_reading_again_after_any_cut_gives_the_same_rest_with_interims_between(
    model: str, texts: list[str], gaps: list[float]
) -> None:
    events, at, rules = [], 0.0, Rules(model=model)
    for index, (text, gap) in enumerate(zip(texts, gaps, strict=False)):
        at += gap
        events.append((talk, Heard(2 * index, text[: len(text) // 2], at)))
        events.append((push, Heard(2 * index + 1, text, at + gap / 2)))

    def read(after: tuple[int, int], state: Open) -> tuple[Open, list[Cut]]:
        cuts = []
        for step, chunk in events:
            state, ended = step(state, chunk, rules) if step is talk else push(state, chunk, rules, after)
            cuts += ended
        return state, cuts

    state, cuts = read((-1, 0), Open())
    for index, cut in enumerate(cuts):
        begin = Open(punctuated=any(has_marks(one.text) for one in cuts[: index + 1]))
        assert read((cut.offset, cut.char), begin) == (state, cuts[index + 1 :])
    assert all(one[1:3] < two[1:3] for one, two in pairwise(cuts))


def test_marks_words_and_numbers_are_read_alike_however_they_are_written() -> None:
    assert [word.read for word in words("It's 3.50, 退款!")] == [word.read for word in words("it's 7.1 退 款")]


def test_an_artefact_that_is_cut_short_is_refused() -> None:
    header = b'{"model":"x","buckets":{"gap":8},"tables":{"gap":{"bias":0,"scale":1}}}\n'
    assert read_model(header + bytes(8)).gap(words("a"), words("b")) == 0
    with pytest.raises(ValueError, match="cut short"):
        read_model(header + bytes(7))


def test_the_model_is_small() -> None:
    assert sum(map(len, default_model().weights.values())) <= 1_000_000


@pytest.mark.parametrize("module", [unmarked, endings], ids=lambda module: module.__name__)
def test_the_examples_in_the_docstrings_hold(module) -> None:
    assert doctest.testmod(module).failed == 0
