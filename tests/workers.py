"""Stage workers as real processes, and what stands on the topics they read and write."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from pipeline.progress import Fence
from pipeline.settings import Settings
from topics import headers
from topics.catalog import Topic
from topics.codec import DecodeError, decode, encode
from topics.messages import Record
from topics.sources import Source, session_of

ROOT = Path(__file__).resolve().parents[1]


class Worker:
    """One worker process of some stages, its log in a file."""

    def __init__(self, settings: Settings, *stages: str, environ: Mapping[str, str] | None = None) -> None:
        self.log = settings.data_path / f"{'-'.join(stages)}-{time.monotonic_ns()}.log"
        environment = os.environ | settings.environment() | (environ or {})
        command = [sys.executable, "-m", "ops.cli", "worker", *stages]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.wait()

    async def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        self.process.terminate()
        return await asyncio.to_thread(self.process.wait, 60)


@asynccontextmanager
async def working(settings: Settings, *stages: str, environ: Mapping[str, str] | None = None) -> AsyncIterator[Worker]:
    """A worker that is killed at the end, whatever happened to it."""
    worker = Worker(settings, *stages, environ=environ)
    try:
        yield worker
    finally:
        worker.process.send_signal(signal.SIGCONT)
        worker.kill()


class Stored(NamedTuple):
    """One valid record of a topic."""

    partition: int
    offset: int
    session: str
    stamp: headers.Stamp
    record: Any


async def write(settings: Settings, topic: Topic, session: str, records: Sequence[Record | bytes]) -> list[int]:
    """Append records of one session, in order; gives their offsets."""
    options = settings.kafka_client() | {"acks": "all", "enable_idempotence": not settings.kafka_embedded}
    async with AIOKafkaProducer(**options) as producer:
        name = topic.on(settings.lane, settings.topic_prefix)
        values = [record if isinstance(record, bytes) else encode(record) for record in records]
        sent = [await producer.send(name, value, session.encode()) for value in values]
        return [(await future).offset for future in sent]


async def raw_records(settings: Settings, name: str) -> list[Any]:
    """Everything on a topic, per partition in the order of the log."""
    consumer = AIOKafkaConsumer(**settings.kafka_client(), enable_auto_commit=False, fetch_max_wait_ms=20)
    await consumer.start()
    try:
        parts = [
            TopicPartition(name, number)
            for number in sorted(consumer.partitions_for_topic(name) or await _parts(consumer, name))
        ]
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        await consumer.seek_to_beginning(*parts)
        found: list[Any] = []
        while any([await consumer.position(part) < ends[part] for part in parts]):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                found += batch
    finally:
        await consumer.stop()
    return sorted(found, key=lambda record: (record.partition, record.offset))


async def _parts(consumer: AIOKafkaConsumer, name: str) -> set[int]:
    metadata = await consumer._client._wait_on_metadata(name)
    return set(metadata)


async def stored(settings: Settings, topic: Topic) -> list[Stored]:
    """The valid records of a topic, claims left out; those below the last claim before them are void."""
    fences: dict[int, Fence] = {}
    valid: list[Stored] = []
    for raw in await raw_records(settings, topic.on(settings.lane, settings.topic_prefix)):
        stamp = headers.read_stamp(raw.headers)
        fence = fences.setdefault(raw.partition, Fence())
        if not topic.foreign and (not fence.admits(stamp.epoch, is_claim=stamp.is_claim) or stamp.is_claim):
            continue
        try:
            record = decode(topic, raw.value)
        except DecodeError:
            continue
        valid.append(Stored(raw.partition, raw.offset, session_of(raw.key, raw.partition, raw.offset), stamp, record))
    return valid


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 30.0, pause: float = 0.1) -> Any:
    """Wait until an awaitable condition gives something true, and give that."""
    async with asyncio.timeout(seconds):
        while not (result := await condition()):
            await asyncio.sleep(pause)
    return result


def source_of(stored_record: Stored) -> Source:
    """Its source."""
    assert stored_record.stamp.source is not None
    return stored_record.stamp.source
