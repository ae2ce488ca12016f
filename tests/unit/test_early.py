"""Interim chunks in, early sentences out; final sentences in, which of them settles the early one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.early import STABLE, Early, answer, due, listen, look, settle
from pipeline.sentences import Cut, Heard, Open, Rules, flush, push

pytestmark = pytest.mark.unit

RULES = Rules(early_start=True)


def said(*texts: str, pace: float = 0.2, speaker: str | None = None) -> Early:
    """Interim chunks from offset 0 on, one every `pace` seconds."""
    early = Early()
    for offset, text in enumerate(texts):
        early = listen(early, Heard(offset, text, offset * pace, speaker))
    return early


def asked(*texts: str, speaker: str | None = None) -> Early:
    """The same, looked at after a while: the last one is an early sentence."""
    early, cut = look(said(*texts, speaker=speaker), 100.0, RULES)
    assert cut is not None
    return early


def final(early: Early, *texts: str, speaker: str | None = None) -> tuple[Early, Cut | None]:
    """Final chunks from offset 10 on, of a session that then is silent; the sentence that settles, if any."""
    state, found = Open(), None
    for offset, text in enumerate(texts, 10):
        heard = Heard(offset, text, 3.0, speaker)
        early = answer(early, heard)
        state, cuts = push(state, heard, RULES)
        early, settling = settle(early, cuts, {fragment.heard.offset for fragment in state.fragments})
        found = found or settling
    state, cuts = flush(state)
    early, settling = settle(early, cuts, ())
    return early, found or settling


# -- what is early -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentence", "char"),
    [
        ("How much is it?", "How much is it?", 15),
        ("That is fine. How much is it?", "How much is it?", 29),
        ("退款要多久", "退款要多久", 5),
        ("how much is the", None, 0),  # goes on
        ("So, how much is", None, 0),
        ("and", None, 0),
        ("", None, 0),
    ],
)
def test_the_last_sentence_of_what_is_said_is_early_if_it_looks_whole(
    text: str, sentence: str | None, char: int
) -> None:
    _, cut = look(said("how", text), 100.0, RULES)
    assert (cut.text, cut.offset, cut.char) == (sentence, 1, char) if cut else sentence is None


def test_words_are_stable_when_none_came_for_a_moment() -> None:
    early = said("How", "How much", "How much is it?")
    assert due(early) == pytest.approx(0.4 + STABLE)
    assert look(early, 0.6, RULES) == (early, None)
    _, cut = look(early, 0.7, RULES)
    assert cut is not None and cut.cut_at == 0.7


def test_a_recogniser_that_seldom_says_anything_is_given_its_time() -> None:
    early = said("how", "how much is it", pace=0.8)
    assert due(early) == pytest.approx(0.8 + 0.8)


def test_the_same_words_again_do_not_begin_anew_and_are_looked_at_once() -> None:
    early = said("how much is", "how much is it", "How much is it?", "how much is it")
    assert early.heard is not None and early.heard.offset == 1
    early, cut = look(said("fine", "fine and", "fine and"), 100.0, RULES)
    assert cut is None
    assert look(listen(early, Heard(3, "fine and", 101.0)), 200.0, RULES)[1] is None


def test_before_a_final_chunk_one_sentence_is_early_and_no_more() -> None:
    early = listen(asked("How much is it?"), Heard(1, "how much is it for two people", 1.0))
    assert due(early) is None
    early, settling = final(early, "how much is it for two people?")
    assert settling is not None
    assert due(listen(early, Heard(20, "how long does it take", 4.0))) is not None


# -- what settles it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("finals", "settling"),
    [
        (["How much is it?"], "How much is it?"),
        (["That is fine. How much is it? Thanks."], "How much is it?"),
        (["how much is it for two people"], "how much is it for two people"),
        (["so how much", "is it"], "so how much is it"),
        (["That is fine. Goodbye."], "Goodbye."),  # the last of the chunk that should have held it
        (["That", "is fine. Goodbye."], "That is fine."),
    ],
)
def test_the_sentence_with_its_words_settles_it_else_the_last_of_the_first_final_chunk(
    finals: list[str], settling: str
) -> None:
    early, found = final(asked("How much is it?"), *finals)
    assert found is not None and found.text == settling
    assert early.asked is None


def test_what_somebody_else_says_or_what_is_said_much_later_settles_nothing() -> None:
    early, found = final(asked("How much is it?", speaker="a"), "It is fine.", speaker="b")
    assert found is None and early.asked is not None
    late = answer(early, Heard(11, "How long?", 60.0, "a"))
    assert late.asked is None


@given(
    st.lists(
        st.tuples(st.sampled_from(["how much is it", "fine", "and", "退款要多久？", ""]), st.booleans()), max_size=12
    )
)
def test_any_speech_leaves_at_most_one_early_sentence_that_is_lower_than_all_that_settles_it(
    events: list[tuple[str, bool]],
) -> None:
    early, state = Early(), Open()
    for offset, (text, is_final) in enumerate(events):
        heard = Heard(offset, text, offset * 1.0)
        if is_final:
            early, (state, cuts) = answer(early, heard), push(state, heard, RULES)
            was = early.asked
            early, settling = settle(early, cuts, {fragment.heard.offset for fragment in state.fragments})
            assert settling is None or (was is not None and was.source < (settling.offset, settling.char))
        elif not state.fragments:
            early, cut = look(listen(early, heard), heard.at + 0.9, RULES)
            early, cut = (early, cut) if cut else look(early, heard.at + 2.0, RULES)
            assert cut is None or early.asked is not None
