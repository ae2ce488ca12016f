"""The gateway's side of the bulk lane: what it knows of batch tasks, and what it writes for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from gateway.problems import Problem
from gateway.producers import close_producer, open_producer
from pipeline.batches import Board
from pipeline.settings import Settings
from pipeline.task_log import TaskLog
from topics.catalog import TASKS, TRANSCRIPTS, Lane
from topics.codec import encode
from topics.headers import Header
from topics.messages import Record
from topics.tasks import TaskRecord, key_of

STORED_WITHIN = 5.0  # seconds for an event to be stored and read back
FETCH_WAIT = 100  # milliseconds that a fetch may wait for an event
_TROUBLE = (KafkaError, OSError, TimeoutError)


class Tasks:
    """The board of tasks, and a producer of its own: bulk records never stand before a live chunk.

    Attributes:
        log: follows the task events while `run` runs.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log = TaskLog(self._consumer, _TROUBLE)
        self._producer: AIOKafkaProducer | None = None
        self._turn = asyncio.Lock()

    @property
    def board(self) -> Board:
        """Every task that is known."""
        return self.log.board

    @property
    def trouble(self) -> str | None:
        """Why tasks cannot be had now, in words for a person."""
        return self.log.trouble

    async def fresh(self) -> None:
        """See what other gateways have stored by now.

        Raises:
            Problem: 503, Kafka does not say.
        """
        try:
            async with asyncio.timeout(STORED_WITHIN):
                await self.log.fresh()
        except TimeoutError as exc:
            raise Problem(503, "SERVICE_UNAVAILABLE", "Kafka does not say which tasks there are; try again") from exc

    async def run(self) -> None:
        """Follow the events until cancelled."""
        try:
            await self.log.run()
        finally:
            await self._let_go()

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[Any]:
        wait = min(self.settings.fetch_wait_ms, FETCH_WAIT)
        options = {"enable_auto_commit": False, "auto_offset_reset": "earliest", "fetch_max_wait_ms": wait}
        consumer = AIOKafkaConsumer(**self.settings.kafka_client(), **options)
        opening = asyncio.ensure_future(self._open(consumer))
        try:
            await asyncio.shield(opening)  # cut off in the middle, it would leave connections open
            yield consumer
        finally:
            await asyncio.wait({opening}, timeout=STORED_WITHIN)
            await consumer.stop()

    async def _open(self, consumer: AIOKafkaConsumer) -> None:
        """Connect, and read the events from their beginning."""
        topic = TASKS.on(prefix=self.settings.topic_prefix)
        await consumer.start()
        if topic not in await consumer.topics():  # asking for it by name would create it on some brokers
            raise KafkaError(f"Kafka has no topic {topic}; create it with: realtime-rag topics create")
        partitions = await (await self.producer()).partitions_for(topic)
        consumer.assign([TopicPartition(topic, number) for number in partitions])
        await consumer.seek_to_beginning()

    async def tell(self, task: str, record: TaskRecord) -> None:
        """Store an event and wait until the board shows it.

        Raises:
            Problem: 503, it is not known whether it was stored.
        """
        try:
            async with asyncio.timeout(STORED_WITHIN):
                topic = TASKS.on(prefix=self.settings.topic_prefix)
                stored = await (await self.producer()).send_and_wait(topic, encode(record), key_of(task, record))
                await self.log.seen(stored.partition, stored.offset)
        except _TROUBLE as exc:
            await self._let_go()
            detail = "Kafka did not store what was asked, or it is not known whether; try again"
            raise Problem(503, "SERVICE_UNAVAILABLE", detail) from exc

    async def send(
        self, session: str, record: Record, at: float | None = None, headers: Sequence[Header] = ()
    ) -> asyncio.Future[Any]:
        """Queue a record of a bulk session, by default with the time of now; the future resolves when it is stored.

        Raises:
            KafkaError: there is no connection.
        """
        topic = TRANSCRIPTS.on(Lane.BULK, self.settings.topic_prefix)
        producer, timestamp = await self.producer(), None if at is None else round(at * 1000)
        sent: asyncio.Future[Any] = await producer.send(
            topic, encode(record), session.encode(), timestamp_ms=timestamp, headers=list(headers)
        )
        return sent

    async def producer(self) -> AIOKafkaProducer:
        """The connected producer."""
        async with self._turn:
            if self._producer is None:
                self._producer = await open_producer(self.settings, linger_ms=5)
            return self._producer

    async def _let_go(self) -> None:
        """The next one who writes connects anew."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await close_producer(producer)
