"""Replays: a batch task whose source is a range of the live transcripts, written again under a run id.

The range is read without a group; nothing of the live lane is written.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from gateway.auth import ANYBODY
from gateway.batch import Batch
from gateway.log_range import range_reader, read_range, starts
from gateway.problems import Problem
from gateway.replay_wish import Asked
from gateway.writing import AT_ONCE, BEAT
from pipeline.batches import Task
from pipeline.cascade import model_of
from pipeline.end_models import reader_of
from pipeline.errors import BrokerError, RagError
from pipeline.profiles import read_profile
from pipeline.replays import Estimate, Range, Replay, Written
from pipeline.settings import Settings
from topics.catalog import TRANSCRIPTS
from topics.codec import DecodeError, decode
from topics.headers import REPLAYED
from topics.sources import session_of
from topics.tasks import TaskCreated, TaskPublished, TaskPublishing

log = logging.getLogger(__name__)


class Replays:
    """What `POST /api/replays` does."""

    def __init__(self, settings: Settings, batch: Batch) -> None:
        self.settings, self.batch = settings, batch

    async def plan(self, asked: Asked) -> dict[str, Any]:
        """Counts of a range, and what answering it would ask of the provider; writes nothing.

        Raises:
            Problem: 422, there is no such partition; 503, Kafka does not answer.
        """
        replay, estimate = Replay("", *asked.listening()), await self._estimate(asked)
        reading = Reading(self.settings, asked.range(), await self.partitions(asked.range()), replay)
        try:
            async with aclosing(reading.run()) as records:
                async for offset, written in records:
                    if written is not None:
                        estimate.add(offset, written)
                    await asyncio.sleep(0)  # live clients go first
        except (KafkaError, OSError, BrokerError) as exc:
            raise Problem(503, "SERVICE_UNAVAILABLE", f"the live transcripts cannot be read: {exc}") from exc
        for end in replay.ends():
            estimate.add(-1, end)
        counts = {"records": replay.records, "left_out": replay.left_out, "unreadable": reading.unreadable}
        asks = {"final_chunks": estimate.finals, "questions": estimate.questions}
        provider = asked.provider or asked.options.provider or self.settings.rag_provider
        calls = {"provider": provider, "provider_calls": estimate.questions}
        return {"sessions": replay.sessions, **counts, **asks, **calls, "range": asked.described()}

    async def _estimate(self, asked: Asked) -> Estimate:
        """One that cuts and judges by the settings; raises Problem 501 where what hears is not installed here."""
        settings = self.settings
        profile = read_profile(settings.question_profile)
        try:  # in a thread: a large model takes a second, and live clients go first
            await asyncio.to_thread(model_of, asked.listening().model or profile.model or settings.question_model)
            await asyncio.to_thread(reader_of, settings.sentence_model)
        except RagError as exc:
            raise Problem(501, "INVALID_REQUEST", f"no estimate here: {exc}") from exc
        return Estimate(settings.rules(), profile, settings.question_model)

    async def begin(self, asked: Asked, principal: str) -> Task:
        """Create the task and begin to write its sessions.

        Raises:
            Problem: 409, the run exists; 422, there is no such partition; 429, too many tasks wait; 503.
        """
        run = asked.run or f"replay-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{uuid.uuid4().hex[:4]}"
        partitions = await self.partitions(asked.range())
        await self.batch.check_unused(run)
        options = asked.options.model_dump(exclude_unset=True, exclude={"mode"})
        created = TaskCreated(
            name=run,
            description=asked.described(),
            created_at=time.time(),
            mode="detect",
            options=options | ({"provider": asked.provider} if asked.provider else {}),
            origin="replay",
            principal="" if principal == ANYBODY else principal,
            range=asked.range().given(),
        )
        task = await self.batch.create_named(run, created, principal)
        self.batch.writing.track(run, self._write(run, asked, partitions))
        return task

    async def partitions(self, of: Range) -> Collection[int]:
        """Where a range stands; raises Problem 422, there is no such partition; 503."""
        topic, wanted = TRANSCRIPTS.on(prefix=self.settings.topic_prefix), of.partition
        try:
            there: set[int] = await (await self.batch.tasks.producer()).partitions_for(topic)
        except (KafkaError, OSError) as exc:
            raise Problem(503, "SERVICE_UNAVAILABLE", f"Kafka does not tell of {topic}: {exc}") from exc
        if wanted is None:
            return there
        if wanted not in there:
            detail = f"offsets: {topic} has no partition {wanted}; there are 0 to {len(there) - 1}"
            raise Problem(422, "INVALID_REQUEST", detail)
        return {wanted}

    async def _write(self, run: str, asked: Asked, partitions: Collection[int]) -> None:
        replay = Replay(run, *asked.listening())
        reading = Reading(self.settings, asked.range(), partitions, replay)
        writing = self.batch.writing
        try:
            if await self._publish(run, asked, reading):
                await self.batch.tasks.tell(run, TaskPublished(total=replay.sessions, at=time.time()))
        except (KafkaError, OSError, BrokerError, Problem) as exc:
            log.error("the replay %s cannot be written: %r", run, exc)
            await writing.fail(run, f"the replay broke off behind {replay.records} records: {exc}; start another one")
        except asyncio.CancelledError:
            await writing.fail(run, f"the gateway was stopped behind {replay.records} records; start another replay")
            raise

    async def _publish(self, run: str, asked: Asked, reading: Reading) -> bool:
        """Write the records of a range and the ends of its sessions; False when the task ended meanwhile."""
        tasks, replay, sent = self.batch.tasks, reading.replay, []
        began = beat = time.monotonic()
        async with aclosing(reading.run()) as records:
            async for _, written in records:
                if written is not None:
                    header = [(REPLAYED, written.of.encode())]
                    sent.append(await tasks.send(written.session, written.record, written.at, header))
                if len(sent) >= AT_ONCE or asked.rate:
                    await asyncio.gather(*sent)
                    sent = []
                if time.monotonic() - beat > BEAT:
                    beat = time.monotonic()
                    await tasks.tell(run, TaskPublishing(count=replay.sessions, at=time.time()))
                await self._pause(run, began + replay.records / asked.rate if asked.rate else 0.0)
                if self._has_ended(run):
                    return False
        sent += [await tasks.send(end.session, end.record, end.at) for end in replay.ends()]
        await asyncio.gather(*sent)
        return True

    async def _pause(self, run: str, until: float) -> None:
        """Wait until a monotonic time, or until the task has ended."""
        await asyncio.sleep(0)
        while (left := until - time.monotonic()) > 0 and not self._has_ended(run):
            await asyncio.sleep(min(left, 0.5))

    def _has_ended(self, run: str) -> bool:
        known = self.batch.tasks.board.get(run)
        return known is not None and known.has_ended


class Reading:
    """One pass over a range of the live transcripts, up to where they ended when it began.

    Attributes:
        replay: what takes the records.
        unreadable: records that are none; live they went to the dead letters.
    """

    def __init__(self, settings: Settings, of: Range, partitions: Collection[int], replay: Replay) -> None:
        self._settings, self._range, self._partitions, self.replay = settings, of, partitions, replay
        self.unreadable = 0

    async def run(self) -> AsyncGenerator[tuple[int, Written | None], None]:
        """Each record's offset and what is written of it; None also for those outside of the range.

        Raises:
            KafkaError, BrokerError: the broker does not give them.
        """
        async with range_reader(self._settings) as consumer:
            async for raw in read_range(consumer, await self._starts(consumer)):
                yield raw.offset, self._take(raw)
                if self._range.last is not None and raw.offset >= self._range.last:
                    return

    async def _starts(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
        topic = TRANSCRIPTS.on(prefix=self._settings.topic_prefix)
        partitions = [TopicPartition(topic, number) for number in self._partitions]
        found = await starts(consumer, partitions, self._range.since, self._settings)
        return {tp: max(offset, self._range.first) for tp, offset in found.items()}

    def _take(self, raw: Any) -> Written | None:
        session, at = session_of(raw.key, raw.partition, raw.offset), raw.timestamp / 1000
        if not self._range.holds(session, raw.partition, raw.offset, at):
            return None
        try:
            record = decode(TRANSCRIPTS, raw.value)
        except DecodeError:
            self.unreadable += 1
            return None
        return self.replay.take(session, raw.offset, at, record)
