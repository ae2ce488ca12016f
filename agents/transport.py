"""Faust transport that hands over whole fetched batches, gives assignments to the stage and commits in their name.

Faust keeps: app, group membership, rebalance callbacks, commit timer, agents, timers, the worker's command line.
Replaced: per-message delivery, acks, gap bookkeeping, `wait_empty`, the seek after a rebalance, the commit request.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import faust
import uvloop
from aiokafka import errors
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from agents.assignment import Assignment
from agents.membership import ConsumerThread, Grant, RebalanceListener
from topics.catalog import Lane

BULK_WAIT, BULK_BYTES = 50, 64 * 1024  # milliseconds for which a fetch of the bulk lane waits for so many bytes
TRANSPORTS.aliases["batch"] = f"{__name__}:Transport"
log = logging.getLogger(__name__)


class Batch(NamedTuple):
    """Value of one Faust event: the fetched records of one partition, in order (aiokafka ConsumerRecord)."""

    records: list[Any]
    assignment: Assignment
    round: int  # of the stage; stale after a pause, as these records are fetched again


class RawBatch(faust.Schema):
    """Passes the batch through Faust's decode step untouched."""

    def compile(self, app: Any, **_: Any) -> Any:
        """Called by Faust for each topic."""

        async def decode(message: Any, *, propagate: bool = False) -> Any:  # noqa: ARG001
            return app.create_event(None, message.value, None, message)

        return decode


def records(app: faust.App, topic: str) -> Any:
    """The Faust topic whose events are batches."""
    return app.topic(topic, schema=RawBatch(), acks=False)


class Consumer(driver.Consumer):
    """Faust's consumer with assignments in place of acks; `app.stage` runs them."""

    RebalanceListener = RebalanceListener
    commit_timeout = 5.0  # seconds, at shutdown
    max_open, max_held = 2000, 8_000_000  # records of one partition, and their bytes; above either we do not fetch
    no_room_pause = 0.005  # seconds

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.assignments: dict[TP, Assignment] = {}
        self._settled = False  # false during a rebalance: nobody knows what is ours
        self._serial = 0  # last poll whose records are registered
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> ConsumerThread:
        settings, loop = self.app.stage.settings, uvloop.new_event_loop()
        thread = ConsumerThread(self, thread_loop=loop, loop=self.loop, beacon=self.beacon)
        thread._close_thread_loop_on_stop = True  # it closes only a loop that it made itself
        thread.fetch_wait_ms = settings.fetch_wait_ms
        if settings.lane is Lane.BULK:  # a fetch for each record costs more than what is done with it
            thread.fetch_wait_ms, thread.fetch_bytes = min(settings.fetch_wait_ms, BULK_WAIT), BULK_BYTES
        thread.member_folder = settings.data_path / "members"
        # it keeps state on the class: each app needs one of its own
        thread.assignor = type("StickyAssignor", (StickyPartitionAssignor,), {})
        return thread

    # -- fetch -----------------------------------------------------------------------------------

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's
        room = {tp for tp in active_partitions if self.has_room(self.assignments.get(tp))}
        if not room:  # an empty set would mean "all partitions" to aiokafka
            await asyncio.sleep(self.no_room_pause)
            return None
        return await super()._getmany(room, timeout if len(room) == len(active_partitions) else 0.02)

    def has_room(self, assignment: Assignment | None) -> bool:
        """Whether more of a partition may be fetched."""
        if assignment is None or not assignment.ready:
            return False
        return assignment.progress.open() < self.max_open and assignment.held < self.max_held

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109
        """One message per partition and poll, drained by Faust's own fetcher."""
        if self.flow_active and self._settled and self._thread.serial != self._serial:  # a poll got lost on its way
            try:
                await self.perform_seek()
            except errors.IllegalStateError:
                return  # a rebalance
        poll, _ = await self._wait_next_records(timeout)
        if not poll or not self.flow_active or self.should_stop or poll[0] != self._serial + 1:
            return  # what is not registered here is read again
        given = [(self.assignments.get(tp), fetched) for tp, fetched in poll[1].items()]
        if not all(assignment and assignment.ready for assignment, _ in given):
            return  # asked for before a rebalance and answered after it
        self._serial = poll[0]
        messages = [self._message(assignment, fetched) for assignment, fetched in given if assignment]
        for message in messages:  # all are registered before the first yield
            self.app.monitor.track_tp_end_offset(message.tp, self.highwater(message.tp))
            yield message.tp, message

    def _message(self, assignment: Assignment, fetched: list[Any]) -> ConsumerMessage:
        assignment.progress.fetched([record.offset for record in fetched])
        last, batch = fetched[-1], Batch(fetched, assignment, self.app.stage.round)
        place = (last.topic, last.partition, last.offset, last.timestamp / 1000, last.timestamp_type)
        generation = self.app.consumer_generation_id
        return ConsumerMessage(*place, None, None, batch, None, 0, 0, assignment.tp, generation_id=generation)

    def caught_up(self, assignment: Assignment) -> bool:
        """Whether the stage has taken every record that the partition is known to have."""
        try:
            end = self.highwater(assignment.tp)
        except AssertionError:  # aiokafka's: the partition is being taken away this very moment
            return False
        return end is not None and assignment.progress.taken >= end

    def share(self, topic: str) -> float:
        """The part of a topic's partitions that is ours, above 0 up to 1."""
        known = self._thread.partitions_of(topic)
        return min(1.0, max(1, len(self.assignments)) / known) if known else 1.0

    # -- commit ----------------------------------------------------------------------------------

    async def commit_as(self, due: list[tuple[Assignment, tuple[int, str]]]) -> bool | None:
        """Commit for assignments of one grant; see `ConsumerThread.commit_as`."""
        first, offsets = due[0][0], {assignment.tp: state for assignment, state in due}
        accepted = await self._thread.inside(self._thread.commit_as(first.generation, first.member, offsets))
        if accepted:
            for assignment, state in due:
                assignment.committed = state
        return bool(accepted) if accepted is not None else None

    async def committed_states(self, partitions: Sequence[TP]) -> dict[TP, tuple[int | None, str]]:
        """Position and metadata as the coordinator has them; see `ConsumerThread.committed`."""
        states: dict[TP, tuple[int | None, str]] = await self._thread.inside(self._thread.committed(partitions))
        return states

    async def seek_to(self, tp: TP, offset: int) -> None:
        """Read on from this offset."""
        await self._thread.inside(self._thread.seek_all({tp: offset}))

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit what is done; Faust's commit timer ends here."""
        if not self._settled:
            return False
        ready = [assignment for assignment in self.assignments.values() if assignment.ready]
        states = [(assignment, assignment.commitment(caught_up=self.caught_up(assignment))) for assignment in ready]
        due = [(assignment, state) for assignment, state in states if state != assignment.committed]
        if not due or not await self.commit_as(due):
            return False
        self.app.monitor.on_tp_commit({assignment.tp: state[0] for assignment, state in due})
        return True

    # -- rebalance -------------------------------------------------------------------------------

    async def perform_seek(self) -> None:
        """Called by Faust at the end of each rebalance, and by us when a poll was not registered."""
        await self.maybe_wait_for_commit_to_finish()
        stage, grant = self.app.stage, self._thread.grant
        stage.pause()
        if grant is None:
            return
        states = await self.committed_states(list(grant.since))
        if self._thread.grant is not grant:
            raise errors.IllegalStateError("rebalanced again")  # Faust calls us again
        self._settle(grant, states)
        self._read_offset.clear()
        targets = {tp: a.progress.next if a.ready else a.position for tp, a in self.assignments.items()}
        self._serial = await self._thread.inside(self._thread.seek_all(targets))
        self._settled = self._thread.grant is grant
        stage.resume()
        for assignment in self.assignments.values():
            if not assignment.ready and not assignment.opening:
                stage.open(assignment)

    def _settle(self, grant: Grant, states: dict[TP, tuple[int | None, str]]) -> None:
        before, self.assignments = self.assignments, {}
        for tp, since in grant.since.items():
            old = before.get(tp)
            if old is not None and _goes_on(old, grant, since):
                old.generation = grant.generation
                old.progress.rewind()
                self.assignments[tp] = old
            else:
                self.assignments[tp] = Assignment(tp, grant.generation, grant.member, *states[tp])
        kept = [old for tp, old in before.items() if self.assignments.get(tp) is old]
        for tp, old in before.items():
            if self.assignments.get(tp) is not old:
                old.die()
        counts = (len(kept), len(self.assignments) - len(kept), len(before) - len(kept))
        log.info("generation %d: kept %d partitions, got %d, lost %d", grant.generation, *counts)

    def forget_all(self) -> None:
        """Everything of ours is dead; what the group still grants us is opened anew."""
        for assignment in self.assignments.values():
            assignment.die()
        self._serial = -1  # makes `getmany` seek
        self.app.stage.pause()
        self.app.stage.resume()

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Handlers go on during a rebalance; `perform_seek` decides which partitions are lost."""
        self.stop_flow()
        if self.app.should_stop:
            await self.wait_empty()  # Faust would just close the consumer
        await super().on_partitions_revoked(revoked)
        self._settled = False  # no commits until we know
        for assignment in self.assignments.values():
            if not assignment.ready:
                assignment.die()

    async def wait_empty(self) -> None:
        """Called by Faust on revoke and on shutdown, after the flow was stopped."""
        await self.app.stage.drain(stopping=self.app.should_stop)
        # without a limit this never ends if the broker is away or our thread has crashed
        last = asyncio.ensure_future(self._commit_last())
        await asyncio.wait({last}, timeout=self.commit_timeout)
        if last.done() and (error := last.exception()):
            log.warning("the last commit failed, what was done since the one before is done again: %r", error)

    async def _commit_last(self) -> None:
        await self.maybe_wait_for_commit_to_finish()
        await self.force_commit()


def _goes_on(old: Assignment, grant: Grant, since: int) -> bool:
    """Whether the partition has been ours in every generation since the assignment was made."""
    unbroken = not old.dead and old.member == grant.member and since <= old.generation
    return unbroken and (old.ready or old.generation == grant.generation)


class Producer(driver.Producer):
    """Faust's producer, of which we use the aiokafka producer inside."""

    def _settings_extra(self) -> Any:
        # the embedded broker has no producer ids
        return {"acks": "all", "enable_idempotence": not self.app.stage.settings.kafka_embedded}

    @property
    def raw(self) -> Any:
        """The aiokafka producer, started and stopped by Faust."""
        return self._ensure_producer()


class Transport(driver.Transport):
    """Chosen by a broker URL that begins with `batch://`."""

    Consumer = Consumer
    Producer = Producer
