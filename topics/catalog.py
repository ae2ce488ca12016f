"""The catalogue of topics: names, records, retention and partitions, the only place where they stand."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from topics import messages, tasks

DAY = 24 * 3600.0


class Lane(StrEnum):
    """Live traffic and bulk traffic run through the same stages on topics and processes of their own."""

    LIVE = "live"
    BULK = "bulk"


@dataclass(frozen=True)
class Topic:
    """A kind of topic; `on` gives the name it has in a lane.

    Attributes:
        noun: what it holds.
        records: union of the structs on it.
        foreign: whether producers outside the stages may write to it.
        retention: seconds; outputs are kept at least as long as inputs.
        compacted: the last record of each key is kept for ever, in place of all for a while.
    """

    noun: str
    records: Any
    foreign: bool = False
    laned: bool = True
    retention: float = 7 * DAY
    compacted: bool = False

    def on(self, lane: Lane = Lane.LIVE, prefix: str = "rag") -> str:
        """Name of the topic.

        >>> TRANSCRIPTS.on(), SENTENCES.on(Lane.BULK)
        ('rag.transcripts.v1', 'rag.sentences.bulk.v1')
        """
        middle = f".{lane}" if self.laned and lane is Lane.BULK else ""
        return f"{prefix}.{self.noun}{middle}.v1"


TRANSCRIPTS = Topic("transcripts", messages.Transcript, foreign=True)
SENTENCES = Topic("sentences", messages.SentenceRecord)
QUESTIONS = Topic("questions", messages.QuestionRecord)
ANSWERS = Topic("answers", messages.AnswerRecord)
TASKS = Topic("batch.tasks", tasks.TaskRecord, laned=False, compacted=True)
DEAD_LETTERS = Topic("dead-letters", None, laned=False)

RIVER = (TRANSCRIPTS, SENTENCES, QUESTIONS, ANSWERS)
ASIDE = (TASKS, DEAD_LETTERS)  # not of a lane
DESCRIBED = (*RIVER, TASKS)  # with a schema
PARTITIONS = 12
EMBEDDED_PARTITIONS = 4


def topic_names(prefix: str = "rag") -> list[str]:
    """Every topic of both lanes, in the order of the flow."""
    laned = [topic.on(lane, prefix) for lane in Lane for topic in RIVER]
    return [*laned, *(topic.on(prefix=prefix) for topic in ASIDE)]


def group_of(stage: str, lane: Lane = Lane.LIVE, prefix: str = "rag") -> str:
    """Consumer group of a stage.

    >>> group_of("sentences"), group_of("answers", Lane.BULK)
    ('rag-sentences', 'rag-answers-bulk')
    """
    return f"{prefix}-{stage}" + ("-bulk" if lane is Lane.BULK else "")
