"""Stage: sentences in, a verdict for each of them out: a question, or why it is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents.apps import app_on_demand, make_app
from agents.logic import Logic
from agents.metrics import count_early, question_checks
from agents.unit import Unit
from pipeline import tracing
from pipeline.cascade import model_of
from pipeline.joined import has_content
from pipeline.profiles import read_profile
from pipeline.questions import Verdict
from pipeline.sessions import Sessions
from pipeline.settings import Settings
from pipeline.verdicts import hear, judge, second, settled
from topics.catalog import QUESTIONS, SENTENCES
from topics.headers import Stamp
from topics.messages import NotAQuestion, Question, Record, Sentence
from topics.sources import BEFORE_ALL, Source

if TYPE_CHECKING:
    from pipeline.providers.yes_no import YesNo

CHECKS_AT_ONCE = 16  # sentences about which one worker asks a provider at the same time
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
        self.checks: YesNo | None = None
        if settings.question_ask_provider:
            from pipeline.providers.yes_no import YesNo  # and all providers

            self.checks, self.concurrency = YesNo(settings), CHECKS_AT_ONCE

    async def start(self) -> None:
        """Read the model, so that one that cannot be read is told at the start."""
        model_of(self.profile.model or self.model)

    async def stop(self) -> None:
        """Give the provider's connections back."""
        if self.checks is not None:
            await self.checks.aclose()

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
        """Judge, or pass on; where a provider may be asked, on the lane of the session, so that it keeps its order."""
        if self.checks is None:
            await self.handle(unit)
        return self.checks is not None

    async def handle(self, unit: Unit) -> None:
        """Judge, or pass on."""
        if self.already(unit):
            unit.outcome = "duplicate"
            return
        last: Last = unit.assignment.memory.of(unit.session)
        verdict = await self._checked(unit, last.said) if self.checks is not None else None
        judged = judge(unit.record, last.said, self.profile, self.model, verdict)
        if (output := settled(judged, unit.record, last.early, self.model)) is not None:
            await unit.emit(output)
            last.hear(unit.source, output)
            count_early(output)
            unit.note(tracing.of_verdict(output))
        last.add(unit.source)

    async def _checked(self, unit: Unit, said: str) -> Verdict | None:
        """The verdict of a provider where the model is unsure; None: the model's stands."""
        record, checks = unit.record, self.checks
        if checks is None or not isinstance(record, Sentence) or record.ended_by == "early":
            return None
        verdict = hear(record, said, self.profile, self.model)
        if not verdict.unsure:
            return verdict
        checks.budget.share = unit.stage.app.consumer.share(unit.assignment.tp.topic)
        outcome = await checks.ask(record.text, said, record.lang)
        question_checks.labels(outcome).inc()
        return second(verdict, checks.name, {"yes": True, "no": False}.get(outcome))


def make(settings: Settings) -> Any:
    """The Faust app of this stage."""
    return make_app(Questions(settings), settings)


__getattr__ = app_on_demand(make)
