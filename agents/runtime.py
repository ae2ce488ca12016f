"""Stage runtime: takes records in order, runs the stage's logic over them and reports what is done.

Life of a record: fetched (transport) → taken → arrives (in order) → handled, inline or on a lane of its session →
outputs acknowledged → done → below the committed position.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka.errors import IllegalStateError

from agents.alone import forgive, guarded, watched
from agents.assignment import Assignment, Gone
from agents.clock import Clock
from agents.dead_letters import bury
from agents.lanes import Lanes
from agents.logic import Logic
from agents.metrics import Outcome, batch_seconds, dead_letters, takeover_seconds, takeovers
from agents.reader import Reader
from agents.transport import Batch
from agents.unit import Unit
from agents.writer import Writer
from pipeline import tracing
from pipeline.errors import RagError
from pipeline.secrets import redacted
from pipeline.settings import Settings
from topics import headers
from topics.catalog import DEAD_LETTERS
from topics.codec import DecodeError, decode
from topics.sources import Source, session_of

log = logging.getLogger(__name__)


class Stage:
    """Runs one stage's logic in one Faust app."""

    max_undelivered = 2000  # outputs on their way; above it nothing new is begun
    pause_timeout = 1.0  # seconds that a rebalance waits for running handlers; they go on after it
    exit_after: float | None = 15.0  # seconds after the drain until a hard exit; None in a process with other work

    def __init__(self, app: Any, logic: Logic, settings: Settings) -> None:
        self.app, self.logic, self.settings = app, logic, settings
        self.output = logic.output.on(settings.lane, settings.topic_prefix) if logic.output else ""
        self.opener: Writer | Reader = Reader(app)
        if logic.output:
            self.opener = Writer(app, self.output, self._recall, settings, logic.look_back)
        self.lanes = Lanes(self, logic.concurrency)
        logic.wake = self.lanes.spawn
        self.clock = Clock(self, frozen_after=app.conf.broker_session_timeout)
        self.feeding = False
        self.round = 0
        self.undelivered = 0
        self.counts: dict[Outcome, int] = {"done": 0, "failed": 0, "duplicate": 0, "void": 0}
        self.turn = asyncio.Lock()  # arrivals and ticks one after the other: they share the stage's memory
        self._changed = asyncio.Event()
        self._preparing: asyncio.Future[None] | None = None
        self.tracer = tracing.tracer()
        self.refuse: Callable[[RagError], None] | None = None
        app.stage = self

    # -- records ---------------------------------------------------------------------------------

    async def run(self, batches: Any) -> None:
        """The body of the Faust agent."""
        ticking = self.clock.start()
        try:
            async for batch in batches:
                if not self.clock.was_frozen():
                    with batch_seconds.labels(self.logic.name).time():
                        await self._feed(batch)
        finally:
            ticking.cancel()

    async def _feed(self, batch: Batch) -> None:
        assignment = batch.assignment
        async with self.turn:
            try:
                for raw in batch.records:
                    if self.undelivered >= self.max_undelivered:
                        await self.until(lambda: self.undelivered < self.max_undelivered or batch.round != self.round)
                    if batch.round != self.round:
                        return
                    if unit := await self._take(raw, assignment):
                        await self._arrive(unit)
            except Gone:
                pass
            except Exception as exc:  # noqa: BLE001 - the edge of the stage: the process stops, the record is read again
                self.fail(exc)
            finally:
                self._changed.set()
        self.lanes.spawn()

    async def _take(self, raw: Any, assignment: Assignment) -> Unit | None:
        """Exactly once for each record of an assignment, in order: the input's fence depends on it."""
        assignment.progress.take(raw.offset)
        assignment.clock = max(assignment.clock, raw.timestamp / 1000)
        assignment.touched = time.monotonic()
        source = Source(raw.offset)
        if not self.logic.input.foreign:
            stamp = self._stamp_of(raw)
            if stamp is None or not assignment.fence.admits(stamp.epoch, is_claim=stamp.is_claim):
                self.counts["failed" if stamp is None else "void"] += 1
                if stamp is None:
                    await self._bury(raw, "no rag-epoch header: only its stage may write to this topic")
                assignment.progress.done(raw.offset)
                return None
            if stamp.source is None:
                assignment.progress.claimed(raw.offset, stamp.epoch)
                assignment.progress.done(raw.offset)
                return None
            source = stamp.source
        assignment.progress.begun(raw.offset, assignment.outputs.end, assignment.epoch)
        return Unit(self, raw, assignment, source)

    def _stamp_of(self, raw: Any) -> headers.Stamp | None:
        try:
            stamp = headers.read_stamp(raw.headers)
        except ValueError:
            return None
        return stamp if stamp.epoch > 0 else None

    async def _arrive(self, unit: Unit) -> None:
        try:
            unit.record = decode(self.logic.input, unit.raw.value)
            if self.lanes.concurrency and await self.logic.arrive(unit):
                self.lanes.push(unit)
                return
            if not self.lanes.concurrency:
                await guarded(self, unit, self.logic.arrive)
        except Gone:
            raise
        except DecodeError as exc:
            await self.give_up(unit, f"not a record of this topic: {exc}")
        except Exception as exc:  # noqa: BLE001 - one record must not stop the others
            await self.give_up(unit, f"{type(exc).__name__}: {exc}")
        unit.release()

    async def give_up(self, unit: Unit, reason: str) -> None:
        """Bury a record that cannot be handled and say so down the river."""
        unit.outcome, reason = "failed", redacted(self.settings, reason)
        if unit.span is not None:
            tracing.failed(unit.span, reason)
        await self._bury(unit.raw, reason, unit.source)
        await self.logic.failed(unit, reason)

    async def _bury(self, raw: Any, reason: str, source: Source | None = None) -> None:
        topic = DEAD_LETTERS.on(prefix=self.settings.topic_prefix)
        await bury(self.app.producer.raw, topic, self.logic.name, raw, reason, source)
        dead_letters.labels(self.logic.name).inc()

    # -- outputs ---------------------------------------------------------------------------------

    async def send(self, value: bytes, key: bytes, partition: int, stamp: Sequence[headers.Header]) -> Any:
        """Queue one output; its future resolves when the broker has stored it."""
        self.undelivered += 1
        try:
            return await self.app.producer.raw.send(self.output, value, key, partition, headers=stamp)
        except BaseException:
            self.undelivered -= 1
            raise

    def delivered(self, error: BaseException | None) -> None:
        """An output was stored, or can never be."""
        self.undelivered -= 1
        self._changed.set()
        if error is not None:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """A record could not be finished: stop the process, so that it is read again.

        What only a person can mend goes to `refuse`, if there is somebody who tells him.
        """
        self.feeding = False
        if isinstance(error, RagError) and self.refuse is not None:
            self.refuse(error)
            return
        log.error("stage %s stops: %r", self.logic.name, error)
        asyncio.get_running_loop().create_task(self.app.crash(error))  # noqa: RUF006 - the process ends with it

    # -- assignments -----------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Start the logic, once; errors of its settings come out here."""
        if self._preparing is None:
            self._preparing = asyncio.ensure_future(self.logic.start())
        await asyncio.shield(self._preparing)

    def open(self, assignment: Assignment) -> None:
        """Take over a partition in the background; it is fed when it is ready."""
        assignment.memory = self.logic.new_memory()
        if assignment.suspicion.watch(watched(self.lanes.concurrency)):
            log.warning("%s/%d: processes were killed at %s: records run alone", *assignment.tp, assignment.position)
        assignment.opening = asyncio.get_running_loop().create_task(self._open(assignment))

    async def _open(self, assignment: Assignment) -> None:
        try:
            await self.prepare()
            takeovers.labels(self.logic.name).inc()
            with takeover_seconds.labels(self.logic.name).time():
                if not await self.opener.open(assignment):
                    assignment.die()
        except IllegalStateError:  # rebalanced again: the next assignment is on its way
            assignment.die()
        except Exception as exc:  # noqa: BLE001 - the edge of the stage: without its past a partition must not be fed
            if not assignment.dead:
                self.fail(exc)

    def _recall(self, assignment: Assignment, raw: Any, stamp: headers.Stamp) -> None:
        session = session_of(raw.key, raw.partition, raw.offset)
        try:
            record = decode(self.logic.output, raw.value)  # type: ignore[arg-type] # there is one, as we read it
        except DecodeError as exc:  # only we write this topic, so its bytes changed behind our back
            log.error("%s/%d offset %d cannot be read back: %s", raw.topic, raw.partition, raw.offset, exc)
            return
        self.logic.recall(assignment.memory, session, stamp, record)

    # -- life cycle ------------------------------------------------------------------------------

    def pause(self) -> None:
        """Start nothing new; batches not taken over yet are stale."""
        self.feeding = False
        self.round += 1
        self._changed.set()

    def resume(self) -> None:
        """Drop what belongs to dead assignments (their new owner reads it again) and go on."""
        self.lanes.drop_dead()
        self.feeding = True
        self.lanes.spawn()

    async def drain(self, stopping: bool) -> None:
        """Start nothing new and give running handlers some time; at shutdown cancel what is left."""
        self.pause()
        forgive(self)
        drain_timeout = self.settings.drain_timeout
        if stopping and self.exit_after is not None:  # what follows can hang when the broker is away; leaving is safe
            timer = threading.Timer(drain_timeout + self.exit_after, os._exit, (1,))
            timer.daemon = True
            timer.start()
        try:
            async with asyncio.timeout(drain_timeout if stopping else self.pause_timeout):
                await self.until(self._is_idle)
        except TimeoutError:
            counts = (self.lanes.running, self.undelivered)
            log.warning("went on with %d running handlers and %d outputs on their way", *counts)
            if stopping:
                await self.lanes.cancel()
        if stopping:
            await self.logic.stop()

    def _is_idle(self) -> bool:
        return not (self.lanes.running or self.undelivered or self.turn.locked())

    def changed(self) -> None:
        """Wake those who wait for a change of what is running."""
        self._changed.set()

    async def until(self, condition: Any) -> None:
        """Wait until a condition over this stage's counts holds."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()
