"""Final chunks in, sentences out."""

from __future__ import annotations

import doctest
from itertools import pairwise
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import boundaries
from pipeline import sentences as cutter
from pipeline.sentences import Cut, Heard, Open, Rules, deadline, flush, joined, push, silence
from pipeline.unmarked import has_marks

pytestmark = pytest.mark.unit

RULES = Rules()
NOTHING = Open()


def hear(
    chunks: list[Heard], rules: Rules = RULES, after: tuple[int, int] | None = None, state: Open = NOTHING
) -> tuple[Open, list[Cut]]:
    cuts = []
    for chunk in chunks:
        state, ended = push(state, chunk, rules, after)
        cuts += ended
    return state, cuts


def spoken(*texts: str) -> list[Heard]:
    """Chunks that follow each other without a pause."""
    return [Heard(offset, text, offset * 0.3) for offset, text in enumerate(texts)]


def sentences(*texts: str) -> list[str]:
    """What is cut at once, and behind a bar what is still open."""
    state, cuts = hear(spoken(*texts))
    return [cut.text for cut in cuts] + ([f"| {joined(state)}"] if state.fragments else [])


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["What is it? I don't know."], ["What is it?", "I don't know."]),
        (["how much is", "it? and when"], ["how much is it?", "| and when"]),
        (["how much is it", "?"], ["how much is it?"]),
        (["退款要", "多久？我想", "知道。"], ["退款要多久？", "我想知道。"]),
        (["你好！今天怎么样？很好；谢谢。"], ["你好！", "今天怎么样？", "很好；", "谢谢。"]),
        (["Dr. Lee met Mr. Wang. Then he left."], ["Dr. Lee met Mr. Wang.", "Then he left."]),
        (["I met Dr.", "Lee. Good."], ["I met Dr. Lee.", "Good."]),
        (["Fruit, e.g. apples, is fine."], ["Fruit, e.g. apples, is fine."]),
        (["She lives in the U.S. and works."], ["She lives in the U.S. and works."]),
        (["She lives in the U.S. What about you?"], ["She lives in the U.S.", "What about you?"]),
        (["Acme Inc. sells pens. It grows."], ["Acme Inc. sells pens.", "It grows."]),
        (["No. 5 is alive.", "No.", "No. Never."], ["No. 5 is alive.", "No.", "No.", "Never."]),
        (["It rose 3.5 percent. Good."], ["It rose 3.5 percent.", "Good."]),
        (["it rose 3.", "5 percent. good."], ["it rose 3.5 percent.", "good."]),
        (["it rose 3", ".5 percent."], ["it rose 3.5 percent."]),
        (["see example.com/?q=1 for more."], ["see example.com/?q=1 for more."]),
        (["I was... thinking. Yes."], ["I was... thinking.", "Yes."]),
        (["我想……问一下。好"], ["我想……问一下。", "| 好"]),
        (['He said "why?" and left. "No!" Then we went.'], ['He said "why?" and left.', '"No!"', "Then we went."]),
        (["他问：“多少钱？”然后走了。"], ["他问：“多少钱？”", "然后走了。"]),
        (["(Is it on?) Yes."], ["(Is it on?)", "Yes."]),
        (["我们用 Kafka 3.5. 它快吗? yes."], ["我们用 Kafka 3.5.", "它快吗?", "yes."]),
        (["Really?! Yes."], ["Really?!", "Yes."]),
        (["this goes", "on for days"], ["| this goes on for days"]),
        (["we don", "'t know"], ["| we don't know"]),
        (["第一个是", "second", "third of"], ["| 第一个是second third of"]),
        (["Fine.", "。"], ["Fine.", "| 。"]),
        (["so dr. lee paid 3.5 million. why is that?"], ["so dr. lee paid 3.5 million.", "why is that?"]),
        (
            ["we use e.g. kafka, i.e. a log. is it", "fast? yes."],
            ["we use e.g. kafka, i.e. a log.", "is it fast?", "yes."],
        ),
        (["我们用 Kafka", "，它快吗？It is", "fast."], ["我们用 Kafka，它快吗？", "It is fast."]),
        (["he said “is it", "on?” and left."], ["he said “is it on?” and left."]),
        (["1. Open the door. 2. Close it."], ["1. Open the door.", "2. Close it."]),
    ],
)
def test_marks_end_sentences_and_chunks_are_joined(texts: list[str], expected: list[str]) -> None:
    assert sentences(*texts) == expected


def test_a_cut_names_where_it_ends_and_all_chunks_that_hold_any_of_it() -> None:
    first = Heard(7, "  how much is", 10.0, "anna", "en")
    second = Heard(9, " it?  and when", 10.4, "anna", "en")
    _, cuts = hear([first, second])
    assert cuts == [Cut("how much is it?", 9, 4, (7, 9), "mark", "anna", "en", 10.0, 10.4, 10.4)]


def test_speech_without_marks_ends_by_silence_and_not_before() -> None:
    state, cuts = hear([Heard(0, "and the price", 1.0), Heard(1, "of the", 2.0)])
    assert cuts == [] and deadline(state) == pytest.approx(3.2)
    assert silence(state, 3.1, RULES) == (state, [])
    state, cuts = silence(state, 3.2, RULES)
    assert state == NOTHING
    assert [(cut.text, cut.ended_by, cut.offset, cut.char) for cut in cuts] == [
        ("and the price of the", "silence", 1, 6)
    ]
    assert silence(state, 99.0, RULES) == (state, [])


@pytest.mark.parametrize("text", ["it costs 3.", "so I was...", "made by Acme Inc.", "我想……", "。"])
def test_a_mark_that_may_be_an_end_needs_only_the_short_silence(text: str) -> None:
    state, cuts = hear([Heard(0, text, 1.0)])
    assert cuts == []
    assert silence(state, 1.4, RULES)[1] == []
    assert [cut.text for cut in silence(state, 1.5, RULES)[1]] == [text]


def test_a_pause_in_record_time_cuts_before_the_chunk_after_it() -> None:
    _, cuts = hear([Heard(0, "how much is it", 1.0), Heard(1, "it is fine.", 2.2)])
    assert [(cut.text, cut.ended_by) for cut in cuts] == [("how much is it", "silence"), ("it is fine.", "mark")]


def test_a_mark_that_comes_after_its_sentence_has_ended_is_not_of_the_next_one() -> None:
    _, cuts = hear([Heard(0, "退款要多久", 1.0), Heard(1, "？我想知道。", 3.0), Heard(2, "。. .5 percent.", 3.1)])
    assert [cut.text for cut in cuts] == ["退款要多久", "我想知道。", ".5 percent."]


def test_another_speaker_ends_the_sentence_and_an_unknown_one_does_not() -> None:
    chunks = [Heard(0, "is it", 1.0, "anna"), Heard(1, "ready", 1.1, None), Heard(2, "yes", 1.2, "ben")]
    state, cuts = hear(chunks)
    assert [(cut.text, cut.ended_by, cut.speaker) for cut in cuts] == [("is it ready", "speaker", "anna")]
    assert joined(state) == "yes"


def test_a_long_sentence_is_cut_at_a_comma_else_at_a_space_else_at_the_limit() -> None:
    rules = Rules(max_chars=20)
    texts = ["first of all, then more words", "一二三四五六七八九十，一二三四五六七八九十", "x" * 45]
    cuts = [cut for text in texts for cut in hear([Heard(0, text, 0.0)], rules)[1]]
    assert [cut.text for cut in cuts] == ["first of all,", "一二三四五六七八九十，", "x" * 20, "x" * 20]
    assert {cut.ended_by for cut in cuts} == {"length"}
    spaced = hear([Heard(0, "alpha beta gamma delta", 0.0)], rules)[1]
    assert [cut.text for cut in spaced] == ["alpha beta gamma"]


def test_blank_chunks_are_nothing_and_only_marks_are_a_sentence_at_the_end() -> None:
    state, cuts = hear(spoken("", "  \n", "?!"))
    assert cuts == []
    assert [(cut.text, cut.offsets, cut.ended_by) for cut in flush(state)[1]] == [("?!", (2,), "flush")]
    assert flush(Open()) == (Open(), [])


WORDS = st.sampled_from(
    [
        "how",
        "is it?",
        "Dr.",
        "3.",
        "5",
        "e.g.",
        "Yes.",
        "...",
        "…",
        "？",
        "。",
        "退款",
        "要多久",
        '"',
        "”",
        "，",
        ", and",
        "U.S.",
    ]
    + [" ", "\n", "We", "ok!", "(", ")", "\u200b", "👍", "\ud800", "abcdefghijklmnop", "شكرا؟", ".5", "x.y"]
)
CHUNKS = st.lists(
    st.tuples(
        st.lists(WORDS, max_size=8).flatmap(lambda words: st.sampled_from(["", " "]).map(lambda gap: gap.join(words)))
        | st.text(max_size=30),
        st.sampled_from([0.0, 0.1, 0.6, 1.3]),
        st.sampled_from([None, None, "anna", "ben"]),
    ),
    max_size=8,
)
LIMITS = st.sampled_from([1, 7, 25, 400])


def stream(drawn: list[tuple[str, float, str | None]]) -> list[Heard]:
    at, chunks = 100.0, []
    for index, (text, gap, speaker) in enumerate(drawn):
        at += gap
        chunks.append(Heard(index * 2, text, at, speaker))
    return chunks


def letters(texts: list[str]) -> str:
    return "".join(character for text in texts for character in text if character.isalnum())


@given(CHUNKS, LIMITS)
def test_no_word_is_lost_or_doubled_and_every_chunk_is_in_a_sentence(
    drawn: list[tuple[str, float, str | None]], limit: int
) -> None:
    chunks = stream(drawn)
    state, cuts = hear(chunks, Rules(max_chars=limit))
    cuts += flush(state)[1]
    assert letters([cut.text for cut in cuts]) == letters([chunk.text for chunk in chunks])
    assert {offset for cut in cuts for offset in cut.offsets} == {c.offset for c in chunks if c.text.strip()}
    assert all(cut.text.strip() == cut.text != "" and len(cut.text) <= limit for cut in cuts)
    assert all(one[1:3] < two[1:3] for one, two in pairwise(cuts))


@given(CHUNKS, LIMITS)
def test_reading_again_after_any_cut_gives_the_same_rest(
    drawn: list[tuple[str, float, str | None]], limit: int
) -> None:
    chunks, rules = stream(drawn), Rules(max_chars=limit)
    state, cuts = hear(chunks, rules)
    for index, cut in enumerate(cuts):
        begin = Open(punctuated=any(has_marks(before.text) for before in cuts[: index + 1]))
        assert hear(chunks, rules, (cut.offset, cut.char), begin) == (state, cuts[index + 1 :])


@given(CHUNKS)
def test_a_live_clock_and_a_replay_cut_alike(drawn: list[tuple[str, float, str | None]]) -> None:
    chunks = [chunk for chunk in stream(drawn) if chunk.text.strip()]
    state, live = Open(), []
    for chunk in chunks:
        state, by_clock = silence(state, chunk.at, RULES)
        state, by_chunk = push(state, chunk, RULES)
        live += by_clock + by_chunk
    assert (state, live) == hear(chunks)


def test_ten_thousand_characters_are_cut_in_bounded_time() -> None:
    for text in ("a.b." * 2500, "？" * 10_000, "3. " * 3300, "多" * 10_000, "x " * 5000):
        state, cuts = hear([Heard(0, text, 0.0)])
        assert letters([cut.text for cut in [*cuts, *flush(state)[1]]]) == letters([text])


@pytest.mark.parametrize("module", [boundaries, cutter], ids=lambda module: module.__name__)
def test_the_examples_in_the_docstrings_hold(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0
