"""Stage: chunks in, sentences out; controls, asks and ends pass through in their place."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from msgspec import structs

from agents.apps import app_on_demand, make_app
from agents.assignment import Assignment
from agents.logic import Logic
from agents.metrics import sentence_wait_seconds
from agents.speech import Speech, withdraws
from agents.unit import Unit
from pipeline import tracing
from pipeline.delivery import just_below
from pipeline.early import Early, answer, listen, look, settle
from pipeline.end_models import reader_of
from pipeline.sentences import Cut, Open, Rules, flush, push, rules_with, silence, talk
from pipeline.sessions import Sessions
from pipeline.settings import Settings
from topics.catalog import SENTENCES, TRANSCRIPTS, Lane
from topics.headers import Stamp
from topics.messages import Ask, AsrChunk, Control, End, Record, Sentence
from topics.sources import Source

LOOK_BACK = 600.0  # seconds over which a resent id is known across a restart
BULK_SILENCE = 30.0  # seconds without a record after which a bulk session without an end is flushed


class Memory:
    """What the stage holds of one partition."""

    def __init__(self) -> None:
        self.sessions = Sessions(Speech, Speech.is_idle)
        self.speaking: dict[str, Speech] = {}  # with an open sentence, the last heard last


class Sentences(Logic):
    """Cuts final chunks into sentences; a chunk is done with the last sentence that holds any of it."""

    name = "sentences"
    input = TRANSCRIPTS
    output = SENTENCES
    look_back = LOOK_BACK
    has_timers = True

    def __init__(self, settings: Settings) -> None:
        self.rules = settings.rules()
        # in the bulk lane a session ends with its `end`, and records come as fast as they can be read
        self.is_bulk = settings.lane is Lane.BULK

    async def start(self) -> None:
        """Read the model, so that one that cannot be read is told at the start."""
        reader_of(self.rules.model)

    def new_memory(self) -> Memory:
        """Nothing heard yet."""
        return Memory()

    def recall(self, memory: Memory, session: str, stamp: Stamp, record: Record) -> None:
        """What a predecessor wrote is not cut, passed on or heard again."""
        if stamp.source is not None:
            memory.sessions.of(session).recall(stamp.source, record)

    def already(self, unit: Unit) -> bool:
        """Whether all of a chunk stands in sentences, or the record was passed on."""
        speech, record = unit.assignment.memory.sessions.of(unit.session), unit.record
        if isinstance(record, AsrChunk):  # how a segment was heard counts for what of it is not cut yet
            return record.is_final and bool(Source(unit.raw.offset, len(record.text.rstrip())) <= speech.spoken)
        return bool(unit.source <= speech.told)

    async def arrive(self, unit: Unit) -> bool:
        """Cut, or pass on."""
        memory: Memory = unit.assignment.memory
        speech, record = memory.sessions.of(unit.session), unit.record
        speech.heard_at = time.monotonic()
        if isinstance(record, AsrChunk):
            speech.endpointing = record.endpointing or speech.endpointing
            if record.is_final and speech.repeats(record.id, unit.raw.offset):
                unit.outcome = "duplicate"
            elif record.is_final:
                await self._hear(speech, unit, record)
            else:
                await self._overhear(speech, unit, record)
        elif unit.source > speech.told and not speech.repeats(getattr(record, "id", None), unit.raw.offset):
            await self._pass_on(speech, unit, record)
            speech.told = unit.source
        else:
            unit.outcome = "duplicate"
        _keep(memory.speaking, unit.session, speech)
        return False

    async def _hear(self, speech: Speech, unit: Unit, chunk: AsrChunk) -> None:
        speech.latest = chunk.text.strip() or speech.latest
        speech.lang, speech.profile = chunk.lang or speech.lang, chunk.profile or speech.profile
        heard = speech.heard(unit, chunk)
        unit.hold()
        speech.held[heard.offset] = unit
        speech.overhear(answer(speech.early, heard))
        open_, cuts = push(speech.open, heard, self._rules(speech), speech.spoken)
        await self._emit(speech, open_, cuts)
        if unit.raw.key is None:  # a session of its own: nothing more can come
            await self._emit(speech, *flush(speech.open, unit.time))

    async def _overhear(self, speech: Speech, unit: Unit, chunk: AsrChunk) -> None:
        """An interim chunk says that the open sentence goes on, or what is being said while there is none."""
        heard, rules = speech.heard(unit, chunk), self._rules(speech)
        is_live = not self.is_bulk and unit.raw.key is not None
        if is_live:
            speech.grow(unit, chunk)
        if speech.open.fragments:
            await self._emit(speech, *talk(speech.open, heard, rules))
        elif rules.early_start and is_live and unit.source > speech.spoken:
            speech.overhear(listen(speech.early, heard._replace(growth=speech.growth)), unit)
            await self._look(speech, unit.time)

    async def _look(self, speech: Speech, clock: float) -> None:
        """Write an early sentence, if one has been stable for long enough at `clock`."""
        if (unit := speech.overheard) is None:
            return
        if unit.source < speech.spoken:  # something of a later place was asked meanwhile
            speech.overhear(Early())
            return
        early, cut = look(speech.early, clock, self._rules(speech))
        if cut is not None:
            own = unit.record.profile or speech.profile  # no final chunk may have named it yet
            await self._write(speech, unit, cut, structs.replace(speech.sentence(cut), profile=own))
        speech.overhear(early)

    def _rules(self, speech: Speech) -> Rules:
        """The session's own where it has any, else those of the settings."""
        return rules_with(self.rules, speech.endpointing)

    async def _emit(self, speech: Speech, open_: Open, cuts: list[Cut]) -> None:
        """Write sentences; what no open sentence holds any more is done with the last sentence that holds any of it."""
        speech.open = open_
        still = {fragment.heard.offset for fragment in open_.fragments}
        asked = speech.early.asked
        speech.early, settling = settle(speech.early, cuts, still)
        last = {offset: cut for cut in cuts for offset in cut.offsets}
        for cut in cuts:
            unit = speech.held[cut.offset]
            done = [offset for offset in cut.offsets if last[offset] is cut and offset not in still]
            settles = str(Source(*asked.source)) if asked is not None and cut is settling else None
            sentence = speech.sentence(cut, settles, is_last=cut is cuts[-1])
            await self._write(speech, unit, cut, sentence, [speech.held.pop(offset) for offset in done])
        for offset in [offset for offset in speech.held if offset not in still]:
            speech.held.pop(offset).release()  # blank, or cut before a restart
        speech.let_go()

    async def _write(
        self, speech: Speech, unit: Unit, cut: Cut, sentence: Sentence, release: Sequence[Unit] = ()
    ) -> None:
        """Write a sentence, and say for how long it was held."""
        source, delay, span = Source(cut.offset, cut.char), max(0.0, cut.cut_at - cut.ended_at), None
        sentence_wait_seconds.labels(cut.ended_by).observe(delay)
        if unit.span is not None:
            others = [held.span for held in release if held.span is not None and held is not unit]
            span = tracing.sentence(unit.span, cut.ended_by, delay, others)
        await unit.emit(sentence, source, release, span)
        speech.spoken = max(speech.spoken, source)

    async def _pass_on(self, speech: Speech, unit: Unit, record: Control | Ask | End) -> None:
        match record:
            case Control(action="instant_query"):
                await self._ask_now(speech, unit, record)
                return
            case Control(action="cancel"):  # the open sentence goes on
                await unit.emit(record)
                return
            case Ask():
                record = Ask(
                    text=record.text, id=record.id, lang=record.lang, options=record.options, asked_at=unit.time
                )
        await self._emit(speech, *flush(speech.open, unit.time))
        if withdraws(record):
            speech.break_off()
        await unit.emit(record)
        speech.spoken = max(speech.spoken, just_below(unit.source))
        if self.is_bulk and isinstance(record, End):  # nothing follows that could ask with it
            speech.latest = ""

    async def _ask_now(self, speech: Speech, unit: Unit, control: Control) -> None:
        """The open sentence is consumed: its outcome is the question that is asked now."""
        consumed = [speech.held.pop(offset) for offset in list(speech.held)]
        speech.open = Open(punctuated=speech.open.punctuated)
        speech.break_off()
        asked = Control(
            action="instant_query",
            id=control.id,
            text=speech.latest or control.text,
            lang=speech.lang or control.lang,
            ids=[held.record.id for held in consumed if held.record.id],
            asked_at=unit.time,
        )
        await unit.emit(asked, release=consumed)
        speech.spoken = max(speech.spoken, just_below(unit.source))

    async def failed(self, unit: Unit, reason: str) -> None:
        """Flush first, so that sources grow, then tell the river."""
        memory: Memory = unit.assignment.memory
        speech = memory.sessions.of(unit.session)
        if unit.source <= speech.told:
            return
        await self._emit(speech, *flush(speech.open, unit.time))
        await super().failed(unit, reason)
        speech.told, speech.spoken = unit.source, max(speech.spoken, just_below(unit.source))
        _keep(memory.speaking, unit.session, speech)

    async def tick(self, assignment: Assignment, clock: float) -> None:
        """End the sentences after which it has been silent for long enough."""
        speaking: dict[str, Speech] = assignment.memory.speaking
        if self.is_bulk:
            if clock > assignment.clock:
                await self._end_silent(speaking, time.monotonic() - BULK_SILENCE)
            return
        for session, speech in list(speaking.items()):
            speech.give_up(clock)
            await self._emit(speech, *silence(speech.open, clock, self._rules(speech)))
            await self._look(speech, clock)
            _keep(speaking, session, speech)

    async def _end_silent(self, speaking: dict[str, Speech], since: float) -> None:
        """In the bulk lane sentences end when no more is read and nothing came for a while: record times are those of a
        recording, and other sessions of the partition may have quite different ones. There may be very many sessions,
        so only those that are due are looked at.
        """  # noqa: D205
        for session, speech in list(takewhile(lambda each: each[1].heard_at <= since, speaking.items())):
            await self._emit(speech, *flush(speech.open))
            _keep(speaking, session, speech)


def _keep(speaking: dict[str, Speech], session: str, speech: Speech) -> None:
    speaking.pop(session, None)
    if not speech.is_idle() or speech.open.fragments:  # behind the others: they stand as they were heard
        speaking[session] = speech


def make(settings: Settings) -> Any:
    """The Faust app of this stage."""
    return make_app(Sentences(settings), settings)


__getattr__ = app_on_demand(make)
