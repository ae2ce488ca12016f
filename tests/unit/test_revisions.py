"""Segments that are heard again: the corrected form replaces the first one as long as that has not been said."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sentences import Cut, Heard, Open, flush, push

pytestmark = pytest.mark.unit


def heard(*chunks: tuple[str | None, str]) -> list[Cut]:
    """All sentences of chunks given by segment and text."""
    state, cuts = Open(), []
    for offset, (segment, text) in enumerate(chunks):
        state, ended = push(state, Heard(offset, text, 0.1 * offset, segment=segment))
        cuts += ended
    return cuts + flush(state)[1]


def test_the_formatted_form_of_a_segment_replaces_the_raw_one_and_both_chunks_are_done_with_it() -> None:
    cuts = heard(("s1", "the price of the blue"), ("s1", "The price of the Blue?"))
    assert [(cut.text, cut.offsets, cut.offset) for cut in cuts] == [("The price of the Blue?", (0, 1), 1)]


def test_a_segment_heard_otherwise_is_asked_once_as_it_was_heard_last() -> None:
    cuts = heard((None, "and the"), ("s2", "prize of the blue"), ("s2", "price of the blue one?"))
    assert [cut.text for cut in cuts] == ["and the price of the blue one?"]
    assert cuts[0].offsets == (0, 1, 2)


def test_what_was_said_of_a_segment_is_not_said_again() -> None:
    cuts = heard(("s1", "Is it blue? And wen is the"), ("s1", "Is it blue? And when is the party?"))
    assert [cut.text for cut in cuts] == ["Is it blue?", "And when is the party?"]


def test_a_revision_with_nothing_new_is_done_with_the_sentence_it_would_have_changed() -> None:
    cuts = heard(("s1", "How much is it? And how"), ("s1", "How much is it?"))
    assert [(cut.text, cut.offsets) for cut in cuts] == [("How much is it?", (0,)), ("And how", (0, 1))]


def test_one_name_for_all_segments_loses_nothing() -> None:
    cuts = heard(("1", "and the price of"), ("1", "something blue"), ("1", "that costs less?"))
    assert [cut.text for cut in cuts] == ["and the price of something blue that costs less?"]


WORDS = st.lists(st.sampled_from(["okay.", "so", "how much", "is it?", "多久", "我不", "Yes."]), max_size=5).map(
    " ".join
)


@given(st.lists(st.tuples(st.sampled_from(["s1", "s1", "s2", None]), WORDS), max_size=6))
def test_whatever_is_revised_sources_grow_and_every_chunk_is_in_a_sentence(
    chunks: list[tuple[str | None, str]],
) -> None:
    cuts = heard(*chunks)
    assert all((one.offset, one.char) < (two.offset, two.char) for one, two in pairwise(cuts))
    assert {offset for cut in cuts for offset in cut.offsets} == {n for n, (_, text) in enumerate(chunks) if text}


def test_after_a_restart_a_revision_is_cut_as_without_it() -> None:
    chunks = [
        Heard(3, "Is it blue? And wen is the", 0.0, segment="s"),
        Heard(4, "Is it blue? And when is it?", 0.1, segment="s"),
    ]
    state, cuts = Open(), []
    for chunk in chunks:
        state, ended = push(state, chunk)
        cuts += ended
    again, state = [], Open(punctuated=True)
    for chunk in chunks:
        state, ended = push(state, chunk, after=(cuts[0].offset, cuts[0].char))
        again += ended
    assert again == cuts[1:] and len(cuts) == 2
