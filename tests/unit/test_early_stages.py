"""Early sentences in the stages: what final chunks give is what they give without, and each question is asked once."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.questions import Last
from agents.sentences import Sentences
from pipeline.features import plain
from pipeline.settings import Settings
from pipeline.verdicts import judge, settled
from topics.headers import Stamp
from topics.messages import Ask, AsrChunk, Control, NotAQuestion, Question, Record
from topics.sources import Source

pytestmark = pytest.mark.unit

START = 1_000.0  # record time of the first event


class Event(NamedTuple):
    """A record, and how long after the one before it came."""

    record: AsrChunk | Control | Ask
    after: float


class Log:
    """The input and output of one partition, and the workers that follow each other on it."""

    def __init__(self, events: list[Event], early: bool) -> None:
        self.events, self.settings = events, Settings(early_start=early)
        self.written: list[tuple[Source, Record]] = []
        self.done: set[int] = set()

    def work(self, until: int, silent: float = 0.0) -> None:
        """A new worker recalls what was written, reads from the position to `until`, and is gone after a silence."""
        stage = Sentences(self.settings)
        memory = stage.new_memory()
        for source, record in self.written:
            stage.recall(memory, "call", Stamp(1, source, source.offset), record)
        position = next(offset for offset in range(len(self.events) + 1) if offset not in self.done)
        assignment: Any = SimpleNamespace(memory=memory, clock=START)
        asyncio.run(self._work(stage, assignment, range(position, until), silent))

    async def _work(self, stage: Sentences, assignment: Any, offsets: range, silent: float) -> None:
        for offset in offsets:
            at = START + sum(event.after for event in self.events[: offset + 1])
            await self._beat(stage, assignment, at)
            unit = Unit(self, assignment, offset, at)
            await stage.arrive(unit)  # type: ignore[arg-type]
            unit.release()
        await self._beat(stage, assignment, assignment.clock + silent)

    async def _beat(self, stage: Sentences, assignment: Any, until: float) -> None:
        """Ten times a second."""
        while assignment.clock < until:
            assignment.clock = min(until, assignment.clock + 0.1)
            await stage.tick(assignment, assignment.clock)


class Unit:
    """One record of the log; what it writes is stored at once."""

    session, span = "call", None

    def __init__(self, log: Log, assignment: Any, offset: int, at: float) -> None:
        self.log, self.assignment, self.time = log, assignment, at
        self.record = log.events[offset].record
        self.raw = SimpleNamespace(offset=offset, key=b"call")
        self.source, self.outcome, self.holds = Source(offset), "done", 1

    async def emit(self, record: Record, source: Source | None = None, release: Any = (), span: Any = None) -> None:
        assert span is None
        self.log.written.append((source or self.source, record))
        for unit in release:
            unit.release()

    def hold(self) -> None:
        self.holds += 1

    def release(self) -> None:
        self.holds -= 1
        assert self.holds >= 0
        if not self.holds:
            self.log.done.add(self.raw.offset)


def sentences(events: list[Event], early: bool, restarts: tuple[int, ...] = ()) -> list[tuple[Source, Any]]:
    """All that is written of a partition whose worker is replaced at these offsets, and that then is silent."""
    log = Log(events, early)
    for until in sorted(offset for offset in restarts if offset < len(events)):
        log.work(until)
    log.work(len(events), silent=30.0)
    assert log.done == set(range(len(events)))
    return log.written


def verdicts(written: list[tuple[Source, Any]]) -> list[tuple[Source, Any]]:
    """What the questions stage makes of it."""
    last, found = Last(), list[tuple[Source, Any]]()
    for source, record in written:
        output = settled(judge(record, last.said), record, last.early)
        if output is not None:
            found.append((source, output))
            last.hear(source, output)
    return found


def settled_by(record: Record) -> str | None:
    """Source of the early question that a verdict confirms or replaces."""
    return getattr(record, "confirms", None) or getattr(record, "replaces", None)


def interim(text: str, after: float = 0.2) -> Event:
    return Event(AsrChunk(text=text, is_final=False), after)


def final(text: str, after: float = 0.8) -> Event:
    return Event(AsrChunk(text=text), after)


def test_a_question_is_asked_before_its_final_chunk_which_confirms_it() -> None:
    written = sentences([interim("How much"), interim("How much is it?"), final("How much is it?")], early=True)
    assert [(str(source), record.ended_by, record.settles) for source, record in written] == [
        ("1.15", "early", None),
        ("2.15", "mark", "1.15"),
    ]
    (_, early), (_, later) = verdicts(written)
    assert (early.early, early.text) == (True, "How much is it?")
    assert (later.confirms, later.replaces) == ("1.15", None)


@pytest.mark.parametrize(
    ("text", "kind"),
    [("How much is it for two people?", Question), ("That is fine.", NotAQuestion)],
)
def test_a_final_chunk_that_says_something_else_takes_it_back(text: str, kind: type[Any]) -> None:
    written = sentences([interim("How much is it?"), final(text)], early=True)
    (_, early), (_, later) = verdicts(written)
    assert early.early and (type(later), later.replaces) == (kind, "0.15")


def test_what_is_not_surely_a_question_has_no_early_verdict() -> None:
    written = sentences([interim("This is fine."), final("This is fine.")], early=True)
    assert [record.ended_by for _, record in written] == ["early", "mark"]
    [(source, verdict)] = verdicts(written)
    assert source == Source(1, 13) and verdict.replaces is None


def test_an_instant_query_leaves_nothing_to_be_settled() -> None:
    events = [interim("How much is it?"), Event(Control(action="instant_query"), 0.6), final("How much is it?")]
    assert [getattr(record, "settles", "") for _, record in sentences(events, early=True)] == [None, "", None]


def test_what_is_asked_meanwhile_is_not_followed_by_an_early_sentence_of_a_lower_place() -> None:
    written = sentences(
        [interim("How much is it?"), Event(Ask(text="Where?"), 0.1), final("How much is it?")], early=True
    )
    assert [str(source) for source, _ in written] == ["1.0", "2.15"]


def test_without_the_setting_interim_chunks_are_no_sentences() -> None:
    assert len(sentences([interim("How much is it?"), final("How much is it?")], early=False)) == 1


texts = st.lists(
    st.sampled_from(["How much is it?", "how long", "is it?", "退款要多久？", "That is fine.", "and", "Why?", " "]),
    min_size=1,
    max_size=3,
).map(" ".join)
records = st.one_of(
    st.builds(AsrChunk, text=texts, is_final=st.booleans()),
    st.builds(AsrChunk, text=texts, is_final=st.booleans()),
    st.sampled_from([Ask(text="Where?"), Control(action="instant_query")]),
)
events = st.lists(st.builds(Event, records, st.sampled_from([0.1, 0.5, 1.5])), max_size=10)


@settings(max_examples=150, deadline=None)
@given(events, st.lists(st.integers(0, 9), max_size=2).map(tuple))
def test_whatever_is_heard_the_final_sentences_are_those_without_early_start(
    heard: list[Event], restarts: tuple[int, ...]
) -> None:
    written = sentences(heard, True, restarts)
    finals = [(source, record.text) for source, record in written if getattr(record, "ended_by", "") != "early"]
    assert finals == [(source, record.text) for source, record in sentences(heard, False, restarts)]
    assert [source for source, _ in written] == sorted({source for source, _ in written}), "sources only grow"


@settings(max_examples=150, deadline=None)
@given(events, st.lists(st.integers(0, 9), max_size=2).map(tuple))
def test_whatever_is_heard_each_question_is_asked_once_and_an_early_one_is_settled_once(
    heard: list[Event], restarts: tuple[int, ...]
) -> None:
    judged = verdicts(sentences(heard, True, restarts))
    early = {str(source): record for source, record in judged if getattr(record, "early", False)}
    settling = [(record, name) for _, record in judged if (name := settled_by(record))]
    named = [name for _, name in settling]
    assert len(set(named)) == len(named) and set(named) <= set(early)
    for record, name in settling:
        same = isinstance(record, Question) and plain(record.text) == plain(early[name].text)
        assert same == (getattr(record, "confirms", None) is not None)
    for (_, one), (_, two) in zip(judged, judged[1:], strict=False):
        if getattr(one, "early", False) and isinstance(two, Question):
            assert two.confirms or plain(two.text) != plain(one.text)
