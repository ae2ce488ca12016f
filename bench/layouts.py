"""What is compared: stages that do next to nothing, one at a time and as a chain; both sides run the same functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from topics.catalog import ANSWERS, QUESTIONS, SENTENCES, TRANSCRIPTS, Topic
from topics.messages import AsrChunk, Done, Question, Record, Sentence, StageName


class Step(NamedTuple):
    """One stage with a trivial handler.

    Attributes:
        concurrency: lanes of the stage runtime as the stage has them; 0: inline. The bare side has no lanes.
        make: the one output of an input.
    """

    name: StageName
    input: Topic
    output: Topic
    concurrency: int
    make: Callable[[Any], Record]


def _sentence(chunk: AsrChunk) -> Sentence:
    return Sentence(text=chunk.text, ended_by="mark", offsets=[])


def _question(sentence: Sentence) -> Question:
    return Question(text=sentence.text, original=sentence.text, score=1.0, reason="trivial")


def _answer(question: Question) -> Done:
    return Done(attempt=1, index=0, why="ok", text=question.text)


LANES = 64
_STEPS = (
    Step("sentences", TRANSCRIPTS, SENTENCES, 0, _sentence),
    Step("questions", SENTENCES, QUESTIONS, 0, _question),
    Step("answers", QUESTIONS, ANSWERS, LANES, _answer),
)
CHAIN = "chain"
LAYOUTS: dict[str, tuple[Step, ...]] = {step.name: (step,) for step in _STEPS} | {CHAIN: _STEPS}


def efficiency_target(layout: str) -> float:
    """Lowest share of the bare side's records per CPU-second that we accept.

    >>> efficiency_target("questions"), efficiency_target("answers"), efficiency_target("chain")
    (0.5, 0.4, 0.4)
    """
    return 0.4 if any(step.concurrency for step in LAYOUTS[layout]) else 0.5


def input_record(topic: Topic, text: str) -> Record:
    """A record of about 100 bytes for one of the topics that a stage reads."""
    if topic is TRANSCRIPTS:
        return AsrChunk(text=text)
    if topic is SENTENCES:
        return Sentence(text=text, ended_by="mark", offsets=[])
    return Question(text=text, original="", score=1.0, reason="bench")
