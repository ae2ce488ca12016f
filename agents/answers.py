"""Stage: questions in, streamed answers out; one question at a time per session, many sessions at once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from agents.answering import Answering
from agents.apps import app_on_demand, make_app
from agents.logic import Logic
from agents.metrics import count_answer
from agents.unit import Unit
from pipeline import tracing
from pipeline.answers import Conversation, RetryBudget, Waiting, is_expired, withdrawn_sources, withdrawn_units
from pipeline.delivery import Entry, View, fold
from pipeline.providers.base import Provider
from pipeline.providers.catalog import Known, open_provider
from pipeline.sessions import Sessions
from pipeline.settings import Settings
from topics.catalog import ANSWERS, QUESTIONS, Lane
from topics.headers import Stamp
from topics.messages import (
    AnswerRecord,
    Control,
    Done,
    End,
    Ended,
    Failed,
    NotAQuestion,
    Question,
    Reply,
    Stopped,
    Verdict,
)
from topics.sources import Source

Memory = Sessions[Conversation[Unit]]
Pending = Waiting[Unit]


class Answers(Logic):
    """Controls and verdicts act on arrival; questions wait on the lane of their session."""

    name = "answers"
    input = QUESTIONS
    output = ANSWERS

    def __init__(self, settings: Settings) -> None:
        self.settings, self.concurrency = settings, settings.answers_concurrency
        self.is_live = settings.lane is Lane.LIVE
        self.look_back = settings.memory_seconds if self.is_live else 0.0
        self.retries = RetryBudget()
        self.provider: Provider | None = None
        self.known: Known = {}
        self.running: dict[Pending, Answering] = {}

    async def start(self) -> None:
        """Open the provider, before the first partition is asked for."""
        self.provider = await open_provider(self.settings, self.known)

    async def stop(self) -> None:
        """Give back the connections of all who were asked."""
        for guard in self.known.values():
            await guard.aclose()

    def provider_of(self, waiting: Pending) -> Provider:
        """Who is to answer a question."""
        assert self.provider is not None
        return self.provider

    def options_of(self, waiting: Pending) -> Mapping[str, Any]:
        """What the provider is told of the caller's wishes."""
        return waiting.options

    # -- memory ----------------------------------------------------------------------------------

    def new_memory(self) -> Memory:
        """Nothing asked yet."""
        turns, chars = self.settings.memory_turns, self.settings.memory_chars
        return Sessions(lambda: Conversation(turns, chars), Conversation.is_idle)

    def recall(self, memory: Memory, session: str, stamp: Stamp, record: Any) -> None:
        """Fold it as a client's view does: what has ended is not asked again, what has begun gets a new attempt."""
        if stamp.source is not None:
            _remember(memory.of(session), Entry(session, stamp.source, stamp.epoch, record))

    async def say(self, unit: Unit, record: AnswerRecord, source: Source | None = None, release: Any = ()) -> None:
        """Write an output and take it into our own view of the session."""
        await unit.emit(record, source, release)
        count_answer(record)
        entry = Entry(unit.session, source or unit.source, unit.assignment.epoch, record)
        _remember(conversation_of(unit), entry)

    def already(self, unit: Unit) -> bool:
        """Whether the question has ended, or was withdrawn."""
        return conversation_of(unit).already(unit.source)

    # -- arrival ---------------------------------------------------------------------------------

    async def arrive(self, unit: Unit) -> bool:
        """Say what can be said at once; True for what waits for its turn."""
        conversation = conversation_of(unit)
        match unit.record:
            case Question(confirms=str()):
                pass  # asked as the early one
            case NotAQuestion(text=text, score=score, reason=reason):
                self._take_back(unit, conversation)
                if self.is_live and unit.source > conversation.view.said:
                    await self.say(unit, Verdict(kind="not_a_question", text=text, score=score, reason=reason))
            case Failed() if conversation.already(unit.source) or unit.source in conversation.queue:
                unit.outcome = "duplicate"  # the question was written before its stage was killed, and is answered
            case Failed(stage=stage, error=error):
                await self.failed(unit, f"the {stage} stage could not handle this: {error}")
            case Question() | Control(action="instant_query"):
                return await self._queue(unit, conversation)
            case Control(action="cancel"):
                await self._cancel(unit, conversation)
            case Control(action="stop"):
                if unit.source > conversation.view.said:
                    await self._stop(unit, conversation)
            case End() if unit.source > conversation.ended:
                conversation.add(Waiting(unit, unit.source, "", kind="end"))
                return True
        return False

    async def _queue(self, unit: Unit, conversation: Conversation[Unit]) -> bool:
        record: Question | Control = unit.record
        if conversation.already(unit.source):
            unit.outcome = "duplicate"
            return False
        if isinstance(record, Question):
            self._take_back(unit, conversation)
            conversation.add(_waiting(unit, record, record.text))
            return True
        if not record.text:
            if unit.source > conversation.view.replied:
                await self.say(unit, Reply(code="NO_FINAL_ASR", message="nothing final has been heard in this session"))
            return False
        asked = _waiting(unit, record, record.text)
        asked.supersedes = self._withdraw(unit, conversation)
        conversation.add(asked)
        return True

    def _withdraw(self, unit: Unit, conversation: Conversation[Unit]) -> list[Pending]:
        taken = conversation.withdraw(unit.source)
        for waiting in taken:
            waiting.unit.hold()  # until the record that says so is stored
            self._interrupt(waiting)
        return taken

    def _take_back(self, unit: Unit, conversation: Conversation[Unit]) -> None:
        """End the early question that this verdict on its final sentence replaces."""
        record: Question | NotAQuestion = unit.record
        if record.replaces is None:
            return
        by_question = isinstance(record, Question)
        if waiting := conversation.take_back(Source.parse(record.replaces), by_question):
            unit.hold()  # until that end is stored
            waiting.controls.append(unit)
            self._interrupt(waiting)

    def _interrupt(self, waiting: Pending) -> None:
        if answering := self.running.get(waiting):
            answering.interrupt()

    async def _cancel(self, unit: Unit, conversation: Conversation[Unit]) -> None:
        question_id = unit.record.question_id
        if waiting := conversation.cancel(unit.session, question_id):
            unit.hold()  # until the end that it causes is stored
            waiting.controls.append(unit)
            self._interrupt(waiting)
        elif not conversation.was_cancelled(unit.session, question_id) and unit.source > conversation.view.replied:
            await self.say(unit, Reply(stage="idle", message="there is no such question to cancel any more"))

    async def _stop(self, unit: Unit, conversation: Conversation[Unit]) -> None:
        taken = self._withdraw(unit, conversation)
        sources = [str(source) for source in withdrawn_sources(taken)]
        await self.say(unit, Stopped(withdrawn=sources), release=withdrawn_units(taken))

    # -- turn ------------------------------------------------------------------------------------

    async def handle(self, unit: Unit) -> None:
        """Answer a question whose turn has come."""
        conversation = conversation_of(unit)
        if waiting := conversation.queue.get(unit.source):
            await self._take_turn(waiting, conversation)
            del conversation.queue[unit.source]

    async def _take_turn(self, waiting: Pending, conversation: Conversation[Unit]) -> None:
        if waiting.withdrawn_by is not None:
            return
        if waiting.kind == "end":
            await self.say(waiting.unit, Ended())
        elif waiting.cancelled:
            await self.end(waiting, Done(attempt=0, index=0, why=waiting.cancelled, question=waiting.text))
        elif self.is_live and is_expired(waiting.asked_at, time.time(), self.settings.question_ttl):
            await self.end(waiting, Done(attempt=0, index=0, why="expired", question=waiting.text))
        elif not waiting.text.strip():
            await self.end(waiting, Done(attempt=0, index=0, why="error", error="EMPTY_QUESTION"))
        else:
            answering = self.running[waiting] = Answering(self, waiting, conversation)
            try:
                await answering.run()
            finally:
                del self.running[waiting]

    async def share_limits(self, provider: Provider, unit: Unit) -> None:
        """A provider's limits are for all workers: ours is the part that our partitions are of the lane's."""
        share = unit.stage.app.consumer.share(unit.assignment.tp.topic)
        for guard in getattr(provider, "guards", ()):
            if guard.account.tokens.share != share:
                await guard.take(share)

    async def end(self, waiting: Pending, done: Done) -> None:
        """Write the end of a question; what it superseded and what cancelled it are done with that."""
        waiting.ending = True
        waiting.unit.note(tracing.of_answer(done))
        conversation = conversation_of(waiting.unit)
        for source in withdrawn_sources(waiting.supersedes):  # we end without a begin that would say so
            if source > conversation.view.ended:
                await self._interrupted(waiting.unit, source)
        units = [*waiting.controls, *withdrawn_units(waiting.supersedes)]
        await self.say(waiting.unit, done_at(done, conversation.view, waiting.source), release=units)
        waiting.controls, waiting.supersedes = [], []

    async def _interrupted(self, unit: Unit, source: Source) -> None:
        done = Done(attempt=0, index=0, why="interrupted")
        await self.say(unit, done_at(done, conversation_of(unit).view, source), source=source)

    async def failed(self, unit: Unit, reason: str) -> None:
        """A question ends with an error; anything else gets a verdict."""
        conversation = conversation_of(unit)
        if waiting := conversation.queue.pop(unit.source, None):
            if waiting.kind == "question":
                await self.end(waiting, Done(attempt=0, index=0, why="error", error=reason, question=waiting.text))
        elif unit.source > conversation.view.said:
            await self.say(unit, Verdict(kind="failed", reason=reason))


def conversation_of(unit: Unit) -> Conversation[Unit]:
    """The session of a record, in the memory of its partition."""
    memory: Memory = unit.assignment.memory
    return memory.of(unit.session)


def _waiting(unit: Unit, record: Question | Control, text: str) -> Pending:
    return Waiting(
        unit,
        unit.source,
        text,
        mode="instant" if isinstance(record, Control) else "standard",
        lang=record.lang,
        asked_at=record.asked_at,
        options={} if isinstance(record, Control) else record.options,
        early=isinstance(record, Question) and record.early,
        replaces=record.replaces if isinstance(record, Question) else None,
    )


def _remember(conversation: Conversation[Unit], entry: Entry) -> None:
    record, before = entry.record, conversation.view
    conversation.view, _ = fold(before, entry)
    if isinstance(record, Done) and conversation.view.ended > before.ended:
        conversation.remember(record)
    if isinstance(record, Done) and record.why == "cancelled":
        conversation.last_cancelled = entry.source
    if isinstance(record, Ended):
        conversation.ended = max(conversation.ended, entry.source)


def done_at(done: Done, view: View, source: Source) -> Done:
    """The end of a question where its answer stands in the view, if it was begun, perhaps by a predecessor."""
    if view.current != source:
        return done
    return msgspec.structs.replace(done, attempt=view.attempt, index=view.upcoming)


def make(settings: Settings) -> Any:
    """The Faust app of this stage on the settings' lane."""
    from agents.bulk_answers import BulkAnswers

    return make_app((Answers if settings.lane is Lane.LIVE else BulkAnswers)(settings), settings)


__getattr__ = app_on_demand(make)
