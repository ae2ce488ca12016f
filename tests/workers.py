"""Stage workers as real processes, and what stands on the topics they read and write."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple, Self

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
    """One process of the command line, such as `worker answers` or `gateway`, its log in a file."""

    def __init__(self, settings: Settings, *words: str, environ: Mapping[str, str] | None = None) -> None:
        self.log = settings.data_path / f"{'-'.join(words)}-{time.monotonic_ns()}.log"
        environment = {**os.environ, **settings.environment(), **(environ or {})}
        command = [sys.executable, "-m", "ops.cli", *words]
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
    """A worker of these stages."""
    async with running(settings, "worker", *stages, environ=environ) as worker:
        yield worker


@asynccontextmanager
async def running(settings: Settings, *words: str, environ: Mapping[str, str] | None = None) -> AsyncIterator[Worker]:
    """A process that is killed at the end, whatever happened to it."""
    worker = Worker(settings, *words, environ=environ)
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


async def write(
    settings: Settings, topic: Topic, session: str, records: Sequence[Record | bytes], times: Sequence[float] = ()
) -> list[int]:
    """Append records of one session, in order, at their record times if there are any; gives their offsets."""
    return await write_each(settings, topic, {session: records}, times)


async def write_each(
    settings: Settings, topic: Topic, records: Mapping[str, Sequence[Record | bytes]], times: Sequence[float] = ()
) -> list[int]:
    """Append records of several sessions, in order; gives their offsets."""
    options = settings.kafka_client() | {"acks": "all", "enable_idempotence": not settings.kafka_embedded}
    name, sent = topic.on(settings.lane, settings.topic_prefix), []
    async with AIOKafkaProducer(**options) as producer:
        for session, values in records.items():
            for record, at in zip_longest(values, times):
                value = record if isinstance(record, bytes) else encode(record)
                stamp = None if at is None else int(1000 * at)
                sent.append(await producer.send(name, value, session.encode(), timestamp_ms=stamp))
        return [(await future).offset for future in sent]


class Tail:
    """Follows one topic from its beginning and judges each record as its readers do."""

    def __init__(self, consumer: AIOKafkaConsumer, topic: Topic, name: str) -> None:
        self.consumer, self.topic, self.name = consumer, topic, name
        self.raw: list[Any] = []
        self.valid: list[Stored] = []
        self._fences: dict[int, Fence] = {}

    @classmethod
    @asynccontextmanager
    async def of(cls, settings: Settings, topic: Topic) -> AsyncIterator[Self]:
        """From the first record on."""
        name = topic.on(settings.lane, settings.topic_prefix)
        options = {"enable_auto_commit": False, "fetch_max_wait_ms": 50, "auto_offset_reset": "earliest"}
        async with AIOKafkaConsumer(**settings.kafka_client(), **options) as consumer:
            partitions = await consumer._client._wait_on_metadata(name)
            consumer.assign([TopicPartition(name, partition) for partition in partitions])
            yield cls(consumer, topic, name)

    async def to_the_end(self) -> list[Stored]:
        """Read what there is now."""
        ends = await self.consumer.end_offsets(self.consumer.assignment())
        while any([await self.consumer.position(part) < end for part, end in ends.items()]):
            await self._poll()
        return self.valid

    async def until(self, condition: Callable[[list[Stored]], Any], seconds: float = 40.0) -> list[Stored]:
        """Read on until a condition over the valid records holds."""
        async with asyncio.timeout(seconds):
            while not condition(self.valid):
                await self._poll()
        return self.valid

    async def _poll(self) -> None:
        for batch in (await self.consumer.getmany(timeout_ms=200)).values():
            for raw in batch:
                self.raw.append(raw)
                self._judge(raw)

    def _judge(self, raw: Any) -> None:
        stamp = headers.read_stamp(raw.headers)
        fence = self._fences.setdefault(raw.partition, Fence())
        if not self.topic.foreign and (not fence.admits(stamp.epoch, is_claim=stamp.is_claim) or stamp.is_claim):
            return
        try:
            record = decode(self.topic, raw.value)
        except DecodeError:
            return
        session = session_of(raw.key, raw.partition, raw.offset)
        self.valid.append(Stored(raw.partition, raw.offset, session, stamp, record))


async def stored(settings: Settings, topic: Topic) -> list[Stored]:
    """The valid records of a topic as it is now, claims left out; those below the last claim before them are void."""
    async with Tail.of(settings, topic) as tail:
        return await tail.to_the_end()


async def stored_until(settings: Settings, topic: Topic, count: int, seconds: float = 60.0) -> list[Stored]:
    """The valid records of a topic as soon as there are so many."""
    async with Tail.of(settings, topic) as tail:
        return await tail.until(lambda found: len(found) >= count, seconds)


def messages_of(records: Sequence[Stored], session: str) -> list[dict[str, Any]]:
    """The messages that a client of the session is sent for these answers records."""
    view, messages = View(), []
    for item in records:
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
    def sentences(self) -> list[str]:
        """What was judged, a question or not."""
        return [str(message.get("question") or message.get("text")) for message in self.messages if _is_judged(message)]

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


def _is_judged(message: Mapping[str, Any]) -> bool:
    return message.get("stage") in ("waiting_for_question", "analyzing")


async def told_until(settings: Settings, session: str, *marks: str, seconds: float = 40.0) -> Told:
    """What a client of the session was told once these marks have come in this order."""
    async with Tail.of(settings, ANSWERS) as tail:
        try:
            await tail.until(lambda found: Told(messages_of(found, session)).has(*marks), seconds)
        except TimeoutError:
            told = Told(messages_of(tail.valid, session))
            raise AssertionError(f"{session} was told {told.marks}, which lacks {marks}") from None
        return Told(messages_of(tail.valid, session))


class Letter(NamedTuple):
    """One dead letter."""

    value: bytes
    headers: dict[str, str]


async def dead_letters(settings: Settings, value: bytes, seconds: float = 20.0) -> list[Letter]:
    """The dead letters with these bytes, as soon as there is one."""
    async with Tail.of(settings, DEAD_LETTERS) as tail:
        await tail.until(lambda _: any(raw.value == value for raw in tail.raw), seconds)
        mine = [raw for raw in tail.raw if raw.value == value]
    return [Letter(raw.value, {name: text.decode() for name, text in raw.headers}) for raw in mine]


async def until(condition: Callable[[], bool], seconds: float = 40.0) -> None:
    """Wait until a condition holds that nothing announces."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.1)


def source_of(stored_record: Stored) -> Source:
    """Its source."""
    assert stored_record.stamp.source is not None
    return stored_record.stamp.source
