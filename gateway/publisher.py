"""Client records to the transcripts topic: acknowledged by the broker, in order, and with nothing piling up."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from gateway.producers import close_producer, open_producer
from pipeline.errors import BrokerError
from pipeline.settings import Settings
from topics.catalog import TRANSCRIPTS, Lane
from topics.headers import Header

ACK_WITHIN = 3.0  # seconds until a client hears that its record may not be stored
MAX_BATCH = 256 * 1024  # bytes; a chunk may have 64 KiB, and a full batch makes the next chunk wait

log = logging.getLogger(__name__)


class _Pending(NamedTuple):
    since: float
    sending: asyncio.Task[int]


class Publisher:
    """One producer; sends of one partition are stored in the order of the calls.

    Attributes:
        broken: set when the producer cannot go on and has to be replaced.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = TRANSCRIPTS.on(Lane.LIVE, settings.topic_prefix)
        self._producer: AIOKafkaProducer | None = None
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._pending: defaultdict[int, deque[_Pending]] = defaultdict(deque)
        self.broken = asyncio.Event()

    async def start(self) -> None:
        """Connect; raises KafkaError when no broker answers."""
        self._producer = await open_producer(self._settings, max_batch_size=MAX_BATCH, request_timeout_ms=10_000)
        self.broken.clear()

    async def stop(self, within: float = ACK_WITHIN) -> None:
        """Flush for as long as a client would wait, then let go."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        sending = {pending.sending for queue in self._pending.values() for pending in queue}
        if sending:
            await asyncio.wait(sending, timeout=within)
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        await close_producer(producer)

    async def partitions_of(self, topic: str) -> int:
        """How many partitions a topic has on the broker."""
        return len(await self._producer.partitions_for(topic)) if self._producer else 0

    def publish(self, partition: int, key: bytes, value: bytes, headers: Sequence[Header] = ()) -> asyncio.Task[int]:
        """Send a record; the task gives its offset. Cancelling the task does not take the record back.

        Raises:
            BrokerError: not connected, or an earlier record of the partition waits longer than `ACK_WITHIN`.
        """
        queue, now = self._pending[partition], asyncio.get_running_loop().time()
        if self._producer is None:
            raise BrokerError("the gateway has no connection to Kafka")
        if queue and now - queue[0].since > ACK_WITHIN:
            raise BrokerError("earlier records of this partition are not acknowledged")
        sending = asyncio.create_task(self._send(self._producer, partition, key, value, headers))
        pending = _Pending(now, sending)
        queue.append(pending)
        sending.add_done_callback(lambda _: self._settle(partition, pending))
        return sending

    async def _send(
        self, producer: AIOKafkaProducer, partition: int, key: bytes, value: bytes, headers: Sequence[Header]
    ) -> int:
        try:
            async with self._locks[partition]:
                stored = await producer.send(self._topic, value, key, partition, headers=list(headers))
            return int((await stored).offset)
        except KafkaError as exc:
            if not exc.retriable and not isinstance(exc, MessageSizeTooLargeError):
                self.broken.set()
            raise BrokerError(f"Kafka did not store a record in partition {partition}: {exc!r}") from exc

    def _settle(self, partition: int, pending: _Pending) -> None:
        self._pending[partition].remove(pending)
        if not pending.sending.cancelled() and (exc := pending.sending.exception()) is not None:
            log.warning("%s", exc)
