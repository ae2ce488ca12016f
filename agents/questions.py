"""Stage: sentences in, a verdict for each of them out: a question, or why it is none."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from agents.apps import app_on_demand, make_app
from agents.logic import Logic
from agents.metrics import count_early
from agents.unit import Unit
from pipeline import tracing
from pipeline.cascade import model_of
from pipeline.features import plain
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
        self.early: tuple[str, str] | None = None  # source and text of the early question that is not settled

    def has(self, source: Source) -> bool:
        """Whether this source has its output."""
        return source <= (self.spoken if source.char else self.told)

    def add(self, source: Source) -> None:
        """Remember that it has."""
        if source.char:
            self.spoken = max(self.spoken, source)
        else:
            self.told = max(self.told, source)

    def hear(self, source: Source, output: Record) -> None:
        """Remember what was said, from the output that came of it."""
        if isinstance(output, Question) and output.early:
            self.early = str(source), output.text
            return
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
        model_of(self.model)

    def new_memory(self) -> Sessions[Last]:
        """Nothing judged yet."""
        return Sessions(Last, lambda _: True)

    def recall(self, memory: Sessions[Last], session: str, stamp: Stamp, record: Record) -> None:
        """What a predecessor judged is not judged again, but what was said is known."""
        if stamp.source is not None:
            last = memory.of(session)
            last.add(stamp.source)
            last.hear(stamp.source, record)

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
            verdict = judge(unit.record, last.said, self.profile, self.model)
            if (output := settled(verdict, unit.record, last.early, self.model)) is not None:
                await unit.emit(output)
                last.hear(unit.source, output)
                count_early(output)
                unit.note(tracing.of_verdict(output))
            last.add(unit.source)
        return False


def settled(
    output: Record, record: Record, early: tuple[str, str] | None = None, model: str = "linear"
) -> Record | None:
    """What becomes of a verdict where sentences are early.

    Args:
        output: the verdict.
        record: what it is about.
        early: source and text of the early question that is not settled.
        model: which one judges.

    Returns:
        None for an early sentence that is no question beyond doubt: the final one will be judged; else the output,
        which says where it confirms or replaces the early question.
    """
    if not isinstance(record, Sentence):
        return output
    if record.ended_by == "early":
        sure = detect(record.text, lang=record.lang, profile="strict", model=model).is_question
        return structs.replace(output, early=True) if isinstance(output, Question) and sure else None
    if early is None or record.settles != early[0]:
        return output
    same = isinstance(output, Question) and plain(output.text) == plain(early[1])
    return structs.replace(output, **{"confirms" if same else "replaces": early[0]})


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
