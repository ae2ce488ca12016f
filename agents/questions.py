"""Stage: sentences in, a verdict for each of them out: a question, or why it is none."""

from __future__ import annotations

from typing import Any

from agents.apps import app_on_demand, make_app
from agents.logic import Logic
from agents.unit import Unit
from pipeline.questions import ask_of, detect
from pipeline.sessions import Sessions
from pipeline.settings import Settings
from topics.catalog import QUESTIONS, SENTENCES
from topics.headers import Stamp
from topics.messages import Ask, NotAQuestion, Question, Record, Sentence
from topics.sources import BEFORE_ALL, Source

DEFAULT_PROFILE = "balanced"


class Last:
    """The last sources of a session that have an output: of sentences, and of whole records such as controls.

    Two, as a cancel overtakes an open sentence, whose source is lower.
    """

    def __init__(self) -> None:
        self.spoken: Source = BEFORE_ALL
        self.told: Source = BEFORE_ALL

    def has(self, source: Source) -> bool:
        """Whether this source has its output."""
        return source <= (self.spoken if source.char else self.told)

    def add(self, source: Source) -> None:
        """Remember that it has."""
        if source.char:
            self.spoken = max(self.spoken, source)
        else:
            self.told = max(self.told, source)


class Questions(Logic):
    """Judges each sentence; everything else passes through."""

    name = "questions"
    input = SENTENCES
    output = QUESTIONS

    def new_memory(self) -> Sessions[Last]:
        """Nothing judged yet."""
        return Sessions(Last, lambda _: True)

    def recall(self, memory: Sessions[Last], session: str, stamp: Stamp, record: Record) -> None:
        """What a predecessor judged is not judged again."""
        if stamp.source is not None:
            memory.of(session).add(stamp.source)

    def already(self, unit: Unit) -> bool:
        """Whether the sentence has its verdict, or the record was passed on."""
        last: Last = unit.assignment.memory.of(unit.session)
        return last.has(unit.source)

    async def arrive(self, unit: Unit) -> bool:
        """Judge, or pass on."""
        if self.already(unit):
            unit.outcome = "duplicate"
        else:
            await unit.emit(judge(unit.record))
            unit.assignment.memory.of(unit.session).add(unit.source)
        return False


def judge(record: Record) -> Record:
    """The output for one input: sentences get a verdict, asks are questions without one, the rest stays as it is."""
    match record:
        case Sentence():
            verdict = detect(record.text, record.lang, record.profile or DEFAULT_PROFILE)
            if not verdict.is_question:
                return NotAQuestion(text=record.text, score=verdict.score, reason=verdict.reason)
            return Question(
                text=ask_of(record.text),
                original=record.text,
                score=verdict.score,
                reason=verdict.reason,
                lang=record.lang,
                asked_at=record.spoken_until,
            )
        case Ask():
            return Question(
                text=record.text,
                original=record.text,
                score=1.0,
                reason="asked as it is",
                lang=record.lang,
                options=record.options,
                asked_at=record.asked_at,
            )
        case _:
            return record


def make(settings: Settings) -> Any:
    """The Faust app of this stage."""
    return make_app(Questions(), settings)


__getattr__ = app_on_demand(make)
