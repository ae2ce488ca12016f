"""Stage: sentences in, a verdict for each of them out: a question, or why it is none."""

from __future__ import annotations

from typing import Any

from agents.apps import app_on_demand, make_app
from agents.logic import Logic
from agents.unit import Unit
from pipeline.cascade import model_of
from pipeline.joined import asked_with, has_content
from pipeline.profiles import BALANCED, Profile, read_profile, woken
from pipeline.questions import detect
from pipeline.sessions import Sessions
from pipeline.settings import Settings
from topics.catalog import QUESTIONS, SENTENCES
from topics.headers import Stamp
from topics.messages import Ask, NotAQuestion, Question, Record, Sentence
from topics.sources import BEFORE_ALL, Source

LOOK_BACK = 120.0  # seconds over which a question finds the sentence that it leans on across a restart


class Last:
    """What came last in a session.

    Two sources have an output, one of sentences and one of whole records such as controls, as a cancel overtakes an
    open sentence, whose source is lower. `said` is the last sentence that the next question can lean on.
    """

    def __init__(self) -> None:
        self.spoken: Source = BEFORE_ALL
        self.told: Source = BEFORE_ALL
        self.said = ""

    def has(self, source: Source) -> bool:
        """Whether this source has its output."""
        return source <= (self.spoken if source.char else self.told)

    def add(self, source: Source) -> None:
        """Remember that it has."""
        if source.char:
            self.spoken = max(self.spoken, source)
        else:
            self.told = max(self.told, source)

    def hear(self, output: Record) -> None:
        """Remember what was said, from the output that came of it."""
        said = {Question: "original", NotAQuestion: "text"}.get(type(output))
        if said and has_content(text := getattr(output, said)):
            self.said = text


class Questions(Logic):
    """Judges each sentence; everything else passes through."""

    name = "questions"
    input = SENTENCES
    output = QUESTIONS
    look_back = LOOK_BACK

    def __init__(self, settings: Settings) -> None:
        self.profile, self.model = read_profile(settings.question_profile), settings.question_model

    async def start(self) -> None:
        """Read the model, so that one that cannot be read is told at the start."""
        model_of(self.profile.model or self.model)

    def new_memory(self) -> Sessions[Last]:
        """Nothing judged yet."""
        return Sessions(Last, lambda _: True)

    def recall(self, memory: Sessions[Last], session: str, stamp: Stamp, record: Record) -> None:
        """What a predecessor judged is not judged again, but what was said is known."""
        if stamp.source is not None:
            last = memory.of(session)
            last.add(stamp.source)
            last.hear(record)

    def already(self, unit: Unit) -> bool:
        """Whether the sentence has its verdict, or the record was passed on."""
        last: Last = unit.assignment.memory.of(unit.session)
        return last.has(unit.source)

    async def arrive(self, unit: Unit) -> bool:
        """Judge, or pass on."""
        if self.already(unit):
            unit.outcome = "duplicate"
        else:
            last: Last = unit.assignment.memory.of(unit.session)
            output = judge(unit.record, last.said, self.profile, self.model)
            await unit.emit(output)
            last.add(unit.source)
            last.hear(output)
        return False


def judge(record: Record, said: str = "", default: Profile = BALANCED, model: str = "linear") -> Record:
    """The output for one input: sentences get a verdict, asks are questions without one, the rest stays as it is.

    Args:
        record: what came.
        said: the sentence before it that a question can lean on.
        default: the profile of sentences that name none, or only a part of one.
        model: which one judges.

    Raises:
        ValueError: the sentence names a profile that there is not.
    """
    match record:
        case Sentence():
            profile = read_profile(record.profile, default)
            verdict = detect(record.text, said, lang=record.lang, profile=profile, speaker=record.speaker, model=model)
            if not verdict.is_question:
                return NotAQuestion(text=record.text, score=verdict.score, reason=verdict.reason)
            return Question(
                text=asked_with(_behind_phrase(record.text, profile), _behind_phrase(said, profile)),
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


def _behind_phrase(text: str, profile: Profile) -> str:
    found = woken(text, profile.phrases) if profile.name == "wake_phrase" else None
    return found.rest if found else text


def make(settings: Settings) -> Any:
    """The Faust app of this stage."""
    return make_app(Questions(settings), settings)


__getattr__ = app_on_demand(make)
