"""A client of the gateway over a real socket, and a hand that writes the answers log as the stage would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, Self

import websockets
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from gateway.server import Server, make_server
from pipeline.settings import Settings
from topics.catalog import ANSWERS, TRANSCRIPTS, Lane
from topics.codec import decode, encode
from topics.headers import Header, stamp
from topics.messages import AnswerRecord
from topics.sources import Source

Message = dict[str, Any]
PATIENCE = 8.0  # seconds


@asynccontextmanager
async def served(settings: Settings, *, connected: bool = True) -> AsyncIterator[Server]:
    """A gateway that listens, and by default has its connection to Kafka."""
    server = make_server(settings)
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(PATIENCE):
            while not server.started:
                await asyncio.sleep(0.01)
            while connected and server.config.app.state.gateway.bus.trouble:  # type: ignore[union-attr]
                await asyncio.sleep(0.01)
        yield server
    finally:
        server.should_exit = True
        await serving


class Talker:
    """A client that says frames and hears messages in order."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self.session = ""
        self.greeting: Message = {}
        self.cursor: str | None = None

    @classmethod
    @asynccontextmanager
    async def at(cls, settings: Settings, query: str = "", **options: Any) -> AsyncIterator[Self]:
        """Connect and hear the greeting."""
        url = f"ws://127.0.0.1:{settings.port}{settings.ws_path}{query}"
        async with websockets.connect(url, **options) as socket:
            talker = cls(socket)
            talker.greeting = await talker.hear()
            assert talker.greeting["message"] == "connected"
            talker.session = talker.greeting["session_id"]
            listening = await talker.hear()
            assert listening["stage"] == "listening"
            yield talker

    async def say(self, type: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": type, **fields}))

    async def chunk(self, text: str, is_final: bool = True, **fields: Any) -> None:
        await self.say("asr_chunk", text=text, is_final=is_final, **fields)

    async def hear(self) -> Message:
        """The next message."""
        async with asyncio.timeout(PATIENCE):
            message: Message = json.loads(await self.socket.recv())
        self.cursor = message.get("cursor", self.cursor)
        return message

    async def hear_all(self, number: int) -> list[Message]:
        return [await self.hear() for _ in range(number)]

    async def hears_nothing(self, seconds: float = 0.3) -> bool:
        """Whether nothing comes before the answer of a keepalive sent after a while."""
        await asyncio.sleep(seconds)
        await self.say("keepalive")
        return (await self.hear()).get("received_type") == "keepalive"

    async def close_code(self) -> int:
        """Read until the server closes."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    await self.socket.recv()
        except websockets.ConnectionClosed as closed:
            assert closed.rcvd is not None
            return closed.rcvd.code


class Log:
    """The topics on both sides of the gateway: reads transcripts, writes answers."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer) -> None:
        self._settings, self._producer = settings, producer
        self.answers = ANSWERS.on(Lane.LIVE, settings.topic_prefix)
        self.transcripts = TRANSCRIPTS.on(Lane.LIVE, settings.topic_prefix)

    @classmethod
    @asynccontextmanager
    async def of(cls, settings: Settings) -> AsyncIterator[Self]:
        async with AIOKafkaProducer(**settings.kafka_client(), max_batch_size=2**20) as producer:
            yield cls(settings, producer)

    async def answer(self, session: str, offset: int, *records: AnswerRecord, epoch: int = 1, char: int = 0) -> None:
        """Append answers records of one source, in the partition of the session."""
        for record in records:
            headers = stamp(Source(offset, char), epoch, offset)
            await self.write(self.answers, session.encode(), encode(record), headers)

    async def write(
        self, topic: str, key: bytes | None, value: bytes | None, headers: list[Header] | None = None
    ) -> None:
        """Append any bytes; the default partitioner puts them where their session is."""
        await self._producer.send_and_wait(topic, value, key=key, headers=headers or [])

    async def said(self, session: str, number: int) -> list[Any]:
        """Wait for the first transcripts records of a session: offset and record."""
        found: list[Any] = []
        async with asyncio.timeout(PATIENCE), aclosing(self.hearing(session)) as records:
            async for offset, record in records:
                found.append((offset, record))
                if len(found) == number:
                    break
        return found

    async def hearing(self, session: str) -> AsyncGenerator[tuple[int, Any], None]:
        """The transcripts records of a session, from its first one on and as they come."""
        async with AIOKafkaConsumer(**self._settings.kafka_client(), fetch_max_wait_ms=10) as reader:
            partitions = await self._producer.partitions_for(self.transcripts)
            reader.assign([TopicPartition(self.transcripts, partition) for partition in partitions])
            await reader.seek_to_beginning()
            async for record in reader:
                if record.key == session.encode():
                    yield record.offset, decode(TRANSCRIPTS, record.value)
