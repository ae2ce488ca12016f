"""Members of a stage's group without Faust: real membership and producer around the writer, taken step by step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.records_to_delete import RecordsToDelete
from faust.types import TP

from agents.assignment import Assignment
from agents.membership import ConsumerThread
from agents.transport import Consumer
from agents.writer import Writer
from ops.admin import admin_client
from pipeline.settings import Settings
from tests.workers import Tail
from topics import headers
from topics.catalog import ANSWERS, QUESTIONS, SENTENCES, TRANSCRIPTS, Topic, group_of
from topics.codec import decode, encode
from topics.messages import AsrChunk, Record, Sentence, StageName
from topics.sources import Source

SESSION = "call"


class Hop(NamedTuple):
    """A stage by its topics."""

    stage: StageName
    input: Topic
    output: Topic

    def reads(self, settings: Settings) -> str:
        """Name of its input."""
        return self.input.on(settings.lane, settings.topic_prefix)

    def writes(self, settings: Settings) -> str:
        """Name of its output."""
        return self.output.on(settings.lane, settings.topic_prefix)

    def group(self, settings: Settings) -> str:
        """Name of its consumer group."""
        return group_of(self.stage, settings.lane, settings.topic_prefix)


class Thread:
    """What the transport's consumer thread does, on our own loop."""

    commit_as: Any = ConsumerThread.commit_as
    committed: Any = ConsumerThread.committed
    seek_all: Any = ConsumerThread.seek_all
    _judge: Any = ConsumerThread._judge

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self.consumer, self.serial = consumer, 0

    @property
    def _coordinator(self) -> Any:
        return self.consumer._coordinator

    def _ensure_consumer(self) -> AIOKafkaConsumer:
        return self.consumer

    async def inside(self, coroutine: Any) -> Any:
        """There is no other loop."""
        return await coroutine


class Member:
    """One process of a stage: what the writer needs of Faust's app, and the writer itself.

    Attributes:
        recalled: what openings took from our own output, as (source, record).
    """

    commit_as: Any = Consumer.commit_as
    seek_to: Any = Consumer.seek_to
    committed_states: Any = Consumer.committed_states

    def __init__(self, settings: Settings, hop: Hop, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        self.settings, self.hop = settings, hop
        self.fetcher, self._thread = consumer, Thread(consumer)
        self.consumer, self.producer = self, SimpleNamespace(raw=producer)
        self.conf = SimpleNamespace(id=hop.group(settings))
        self.recalled: list[tuple[Source, Any]] = []
        self.writer = Writer(self, hop.writes(settings), self._recall, settings)

    @classmethod
    @asynccontextmanager
    async def of(cls, settings: Settings, hop: Hop) -> AsyncIterator[Member]:
        """Joins the stage's group at once; leaves it at the end."""
        client = settings.kafka_client()
        options = {"enable_auto_commit": False, "auto_offset_reset": "earliest", "group_id": hop.group(settings)}
        reads = hop.reads(settings)
        waits = {"fetch_max_wait_ms": settings.fetch_wait_ms, "session_timeout_ms": 10_000}
        idempotence = not settings.kafka_embedded
        async with (
            AIOKafkaProducer(**client, acks="all", enable_idempotence=idempotence) as producer,
            AIOKafkaConsumer(reads, **client, **options, **waits) as consumer,
        ):
            yield cls(settings, hop, consumer, producer)

    def _recall(self, assignment: Assignment, raw: Any, stamp: headers.Stamp) -> None:  # noqa: ARG002
        assert stamp.source is not None
        self.recalled.append((stamp.source, decode(self.hop.output, raw.value)))

    async def maybe_start_producer(self) -> None:
        """It runs already."""

    async def granted(self, partition: int = 0) -> Assignment:
        """The partition as the group gives it to us, not opened yet."""
        tp = TP(self.hop.reads(self.settings), partition)
        async with asyncio.timeout(30):
            while TopicPartition(*tp) not in self.fetcher.assignment():
                await asyncio.sleep(0.02)
        coordinator = self.fetcher._coordinator
        states = await self._thread.committed([tp])
        return Assignment(tp, coordinator.generation, coordinator.member_id, *states[tp])

    async def opened(self, partition: int = 0, look_back: float = 0.0) -> Assignment:
        """The partition taken over."""
        self.writer.look_back = look_back
        assignment = await self.granted(partition)
        assert await self.writer.open(assignment)
        return assignment

    async def fall_silent(self) -> None:
        """Out of the group as if its session had ended; what it holds in its hands stays there."""
        await self.fetcher._coordinator.close()

    async def write(
        self, assignment: Assignment, record: Record, source: Source, at: float | None = None, session: str = SESSION
    ) -> int:
        """One output as a unit writes it, at a record time in seconds; gives its offset."""
        stamp = headers.stamp(source, assignment.epoch, source.offset)
        place = {"partition": assignment.tp.partition, "timestamp_ms": None if at is None else round(at * 1000)}
        send = self.producer.raw.send_and_wait
        sent = await send(self.writer.output, encode(record), session.encode(), headers=stamp, **place)
        assignment.outputs.end = sent.offset + 1
        return int(sent.offset)

    def take(self, assignment: Assignment, *offsets: int) -> None:
        """Handle input records up to their outputs: fetched, taken, begun; they are not done yet."""
        assignment.progress.fetched(offsets)
        for offset in offsets:
            assignment.progress.take(offset)
            assignment.progress.begun(offset, assignment.outputs.end, assignment.epoch)

    async def commit(self, assignment: Assignment, *done: int) -> bool | None:
        """Report input records as done and commit what that gives."""
        for offset in done:
            assignment.progress.done(offset)
        return bool(await self.commit_as([(assignment, assignment.commitment())]))


async def committed(settings: Settings, hop: Hop, partition: int = 0) -> tuple[int, str]:
    """Position and metadata of a group as the broker has them; -1 and none before its first commit."""
    async with admin_client(settings) as admin:
        tp = TopicPartition(hop.reads(settings), partition)
        state = (await admin.list_consumer_group_offsets(hop.group(settings))).get(tp)
    return (-1, "") if state is None else (state.offset, state.metadata)


async def commit_from_outside(settings: Settings, hop: Hop, position: int, partition: int = 0) -> None:
    """Commit a position without metadata, as an operator's tool does, while no member is there."""
    options = {"group_id": hop.group(settings), "enable_auto_commit": False}  # else its own position follows at the end
    async with AIOKafkaConsumer(**settings.kafka_client(), **options) as tool:
        tp = TopicPartition(hop.reads(settings), partition)
        tool.assign([tp])
        await tool.commit({tp: position})


async def hear(settings: Settings, topic: str, values: list[bytes], partition: int = 0) -> None:
    """Append input records of our session to one partition."""
    options = settings.kafka_client() | {"acks": "all"}
    async with AIOKafkaProducer(**options) as producer:
        for value in values:
            await producer.send_and_wait(topic, value, SESSION.encode(), partition)


async def delete_below(settings: Settings, topic: str, offset: int, partition: int = 0) -> None:
    """What retention does: the first records are gone."""
    async with admin_client(settings) as admin:
        await admin.delete_records({TopicPartition(topic, partition): RecordsToDelete(offset)})


async def recreate(settings: Settings, topic: str) -> None:
    """Delete a topic and make it again, empty."""
    async with admin_client(settings) as admin:
        partitions = len((await admin.describe_topics([topic]))[0]["partitions"])
        await admin.delete_topics([topic])
        await _until(admin, topic, there=False)
        await admin.create_topics([NewTopic(topic, partitions, 1)])
        await _until(admin, topic, there=True)


async def _until(admin: AIOKafkaAdminClient, topic: str, *, there: bool) -> None:
    async with asyncio.timeout(20):
        while (topic in await admin.list_topics()) is not there:
            await asyncio.sleep(0.05)


CUTTING = Hop("sentences", TRANSCRIPTS, SENTENCES)
JUDGING = Hop("questions", SENTENCES, QUESTIONS)
ANSWERING = Hop("answers", QUESTIONS, ANSWERS)


async def cutter(stack: AsyncExitStack, settings: Settings) -> Member:
    """One more process of the sentences stage."""
    return await stack.enter_async_context(Member.of(settings, CUTTING))


def spoken(text: str, offset: int = 0) -> Sentence:
    return Sentence(text=text, ended_by="mark", offsets=[offset])


def texts(member: Member) -> list[str]:
    """What its openings recalled."""
    return [record.text for _, record in member.recalled]


async def heard(settings: Settings, number: int) -> None:
    """So many chunks stand in the input."""
    await hear(settings, CUTTING.reads(settings), [encode(AsrChunk(text="word"))] * number)


async def claims(settings: Settings) -> list[int]:
    """The epochs of all claims in the output partition, in the order of the log."""
    async with Tail.of(settings, SENTENCES) as tail:
        await tail.to_the_end()
        return [int(dict(raw.headers)["rag-epoch"]) for raw in tail.raw if "rag-source" not in dict(raw.headers)]
