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

from pipeline.delivery import Entry, View, fold
from pipeline.progress import Fence
from pipeline.settings import Settings
from topics import headers
from topics.catalog import ANSWERS, DEAD_LETTERS, Topic
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
    return await write_each(settings, topic, {session: records})


async def write_each(settings: Settings, topic: Topic, records: Mapping[str, Sequence[Record | bytes]]) -> list[int]:
    """Append records of several sessions, in order; gives their offsets."""
    options = settings.kafka_client() | {"acks": "all", "enable_idempotence": not settings.kafka_embedded}
    name, sent = topic.on(settings.lane, settings.topic_prefix), []
    async with AIOKafkaProducer(**options) as producer:
        for session, values in records.items():
            for record in values:
                value = record if isinstance(record, bytes) else encode(record)
                sent.append(await producer.send(name, value, session.encode()))
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


async def view_of(settings: Settings, session: str) -> list[dict[str, Any]]:
    """The messages that a client of the session has been sent."""
    view, messages = View(), []
    for item in await stored(settings, ANSWERS):
        if item.session == session and item.stamp.source is not None:
            view, told = fold(view, Entry(session, item.stamp.source, item.stamp.epoch, item.record))
            messages += told
    return messages


class Told:
    """The messages that a client of one session was sent."""

    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self.messages = messages

    @property
    def marks(self) -> list[str]:
        """Stage, error code or `answer` of each message."""
        return [str(message.get("stage") or message.get("code") or message["type"]) for message in self.messages]

    @property
    def stages(self) -> list[str]:
        """The stages of the status messages."""
        return [message["stage"] for message in self.messages if message["type"] == "status"]

    @property
    def answers(self) -> list[dict[str, Any]]:
        """The answer messages."""
        return [message for message in self.messages if message["type"] == "answer"]

    @property
    def texts(self) -> list[str]:
        """The whole text of each answer that came to its end, as a client shows it: of its last attempt."""
        found: list[str] = []
        text = ""
        for answer in self.answers:
            text = answer["content"] if answer["stream_index"] == 0 else text + answer["content"]
            if answer["final"]:
                found.append(text)
        return found

    @property
    def text(self) -> str:
        """The text of the only answer."""
        (text,) = self.texts
        return text

    @property
    def indexes(self) -> list[int]:
        """The indexes of the last attempt of the last answer."""
        last = self.answers[-1]["question_id"], self.answers[-1]["attempt"]
        return [answer["stream_index"] for answer in self.answers if (answer["question_id"], answer["attempt"]) == last]

    def position(self, mark: str, nth: int = 1) -> int:
        """Where the nth message with this mark stands."""
        return [index for index, found in enumerate(self.marks) if found == mark][nth - 1]

    def of(self, question_id: str) -> list[dict[str, Any]]:
        """The messages of one question."""
        return [message for message in self.messages if message.get("question_id") == question_id]

    def has(self, *marks: str) -> bool:
        """Whether these marks came in this order, others between them or not."""
        rest = iter(self.marks)
        return all(mark in rest for mark in marks)


async def told_until(settings: Settings, session: str, *marks: str, seconds: float = 40.0) -> Told:
    """What a client of the session was told once these marks have come in this order."""
    told = Told([])
    try:
        async with asyncio.timeout(seconds):
            while not (told := Told(await view_of(settings, session))).has(*marks):
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"{session} was told {told.marks}, which lacks {marks}") from None
    return told


class Letter(NamedTuple):
    """One dead letter."""

    value: bytes
    headers: dict[str, str]


async def dead_letters(settings: Settings, value: bytes, seconds: float = 20.0) -> list[Letter]:
    """The dead letters with these bytes, as soon as there is one."""

    async def found() -> list[Letter]:
        raws = await raw_records(settings, DEAD_LETTERS.on(prefix=settings.topic_prefix))
        texts = [{name: text.decode() for name, text in raw.headers} for raw in raws]
        return [Letter(raw.value, text) for raw, text in zip(raws, texts, strict=True) if raw.value == value]

    letters: list[Letter] = await until(found, seconds)
    return letters


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
