"""Writes the input of a measurement and sees its output come: a backlog as fast as it goes, or records at a rate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench.layouts import input_record
from pipeline.settings import Settings
from topics import headers
from topics.catalog import PARTITIONS, Topic
from topics.codec import encode
from topics.sources import Source

SESSIONS = 1200
SLICE = 4800  # records on their way at once while a backlog is written
WARM_UP = 50  # records at a rate that are not counted
RESULT_DEADLINE = 30.0  # seconds after the last one was sent
EPOCH = 1


class _Output(msgspec.Struct):
    text: str = ""


_decoder = msgspec.json.Decoder(_Output)


def text_of(serial: int) -> str:
    """A text that says which record it is.

    >>> text_of(17)[:10]
    '00000017 h'
    """
    return f"{serial:08d} have we decided about the budget of next year?"


class Load:
    """A producer of one input topic."""

    def __init__(self, settings: Settings, topic: Topic, producer: AIOKafkaProducer) -> None:
        self.topic, self.name, self._producer = topic, topic.on(prefix=settings.topic_prefix), producer
        self.sent = 0

    async def send(self, serial: int) -> asyncio.Future[None]:
        """Queue one record; sessions and partitions take turns. Middle topics get the headers of a stage."""
        self.sent += 1
        session = serial % SESSIONS
        stamp = None if self.topic.foreign else headers.stamp(Source(serial), EPOCH, serial)
        value, key = encode(input_record(self.topic, text_of(serial))), b"session-%d" % session
        sent: asyncio.Future[None] = await self._producer.send(
            self.name, value, key, session % PARTITIONS, headers=stamp
        )
        return sent

    async def fill(self, count: int) -> None:
        """Store a backlog."""
        for begin in range(0, count, SLICE):
            await asyncio.gather(*[await self.send(serial) for serial in range(begin, min(begin + SLICE, count))])


@asynccontextmanager
async def loading(settings: Settings, topic: Topic, linger_ms: int = 0) -> AsyncIterator[Load]:
    """A connected load; a lingering one writes a backlog faster."""
    options = {"acks": "all", "enable_idempotence": True, "linger_ms": linger_ms, "max_batch_size": 256 * 1024}
    async with AIOKafkaProducer(**settings.kafka_client(), **options) as producer:
        yield Load(settings, topic, producer)


class Arrival(NamedTuple):
    """An output that a reader has: where it stands, when it came (`perf_counter`), and its text."""

    partition: int
    at: float
    text: str


class Outcome:
    """Sees what stands on an output topic."""

    def __init__(self, topic: str, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._parts = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(self._parts)

    async def ends(self) -> list[int]:
        """Records on each partition, claims of the stage runtime included."""
        return list((await self._consumer.end_offsets(self._parts)).values())

    async def latencies(self, load: Load, rate: float, count: int) -> list[float]:
        """Seconds from before a record is sent until its output is here, for `count` records at `rate` a second.

        Raises:
            TimeoutError: not all came.
        """
        await self._consumer.seek_to_end(*self._parts)
        for part in self._parts:
            await self._consumer.position(part)
        sent: dict[str, float] = {}
        sending = asyncio.create_task(_send_at(load, rate, count + WARM_UP, sent))
        seen: list[float] = []
        try:
            async with asyncio.timeout((count + WARM_UP) / rate + RESULT_DEADLINE):
                while len(seen) < count + WARM_UP:
                    seen += [arrival.at - sent.pop(arrival.text) for arrival in await self.arrived()]
            await sending
        finally:
            sending.cancel()
        return seen[WARM_UP:]

    async def arrived(self) -> list[Arrival]:
        """What came since the last call, claims left out; waits up to a second for something."""
        batches = await self._consumer.getmany(timeout_ms=1000)
        now = time.perf_counter()
        found = [(part.partition, _decoder.decode(raw.value)) for part, batch in batches.items() for raw in batch]
        return [Arrival(partition, now, output.text) for partition, output in found if output.text]


async def _send_at(load: Load, rate: float, count: int, sent: dict[str, float]) -> None:
    begin = time.perf_counter()
    for serial in range(count):
        await asyncio.sleep(begin + serial / rate - time.perf_counter())
        sent[text_of(serial)] = time.perf_counter()
        await load.send(serial)


@asynccontextmanager
async def watching(settings: Settings, topic: str) -> AsyncIterator[Outcome]:
    """An outcome on a connection of its own."""
    consumer = AIOKafkaConsumer(**settings.kafka_client(), enable_auto_commit=False)
    await consumer.start()
    try:
        yield Outcome(topic, consumer)
    finally:
        await consumer.stop()
