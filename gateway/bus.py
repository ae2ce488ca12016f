"""The gateway's side of Kafka: connects when a broker with our topics is there, stores records, shows sessions."""

from __future__ import annotations

import asyncio
import logging

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner
from opentelemetry.context import Context

from gateway.follower import Follower
from gateway.publisher import Publisher
from gateway.updates import Viewer
from pipeline import tracing
from pipeline.errors import BrokerError
from pipeline.settings import Settings
from topics.catalog import ANSWERS, TRANSCRIPTS, Lane
from topics.codec import encode
from topics.messages import Record

RETRY = 0.5  # seconds between two attempts to connect

log = logging.getLogger(__name__)


class Bus:
    """Everything the gateway says to the topics and hears from them.

    Attributes:
        trouble: why there is no connection, in words for a person; None while there is one.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.follower = Follower(settings)
        self.publisher = Publisher(settings)
        self.trouble: str | None = "not connected to Kafka yet"
        self._partitions = 0
        self._tracer = tracing.tracer()
        self._connected = asyncio.Event()
        self._lookup: AIOKafkaConsumer | None = None

    async def run(self) -> None:
        """Connect, read, and connect again when that fails, until cancelled."""
        try:
            while True:
                try:
                    await self._connect()
                    await self._work()
                except (KafkaError, BrokerError, OSError, TimeoutError) as exc:
                    self._say(str(exc) or type(exc).__name__)
                await self._disconnect()
                await asyncio.sleep(RETRY)
        finally:
            await self._disconnect()

    async def _connect(self) -> None:
        self._lookup = AIOKafkaConsumer(**self.settings.kafka_client(), enable_auto_commit=False)
        await self._lookup.start()
        names = [topic.on(Lane.LIVE, self.settings.topic_prefix) for topic in (TRANSCRIPTS, ANSWERS)]
        there = await self._lookup.topics()  # asking for a missing one by name would create it on some brokers
        if missing := [name for name in names if name not in there]:
            raise BrokerError(f"Kafka has no topic {', '.join(missing)}; create ours with: realtime-rag topics create")
        await self.publisher.start()
        said, heard = [await self.publisher.partitions_of(name) for name in names]
        if said != heard:
            raise BrokerError(f"{names[0]} has {said} partitions and {names[1]} {heard}; they must be equal")
        self._partitions = said
        await self.follower.start(self._lookup, range(said))
        self.trouble = None
        self._connected.set()

    async def _work(self) -> None:
        reading = asyncio.create_task(self.follower.run())
        broken = asyncio.create_task(self.publisher.broken.wait())
        try:
            await asyncio.wait({reading, broken}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
            raise BrokerError("the producer cannot go on and is replaced")
        finally:
            reading.cancel()
            broken.cancel()
            await asyncio.gather(reading, broken, return_exceptions=True)

    async def _disconnect(self) -> None:
        self._connected.clear()
        self.trouble = self.trouble or "the connection to Kafka is being made anew"
        await self.publisher.stop()
        await self.follower.stop()
        lookup, self._lookup = self._lookup, None
        if lookup is not None:
            await lookup.stop()

    def _say(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("no connection to Kafka at %s: %s", self.settings.kafka_bootstrap_servers, trouble)
        self.trouble = trouble

    async def join(self, viewer: Viewer) -> None:
        """Fix where the viewer's session goes live; waits until a broker says it. `leave` is its counterpart.

        What is published after this is seen from the viewer's position.
        """
        while True:
            await self._connected.wait()
            viewer.partition = self._partition_of(viewer.session)
            try:
                place = await self.follower.open(viewer.partition)
            except (KafkaError, TimeoutError) as exc:
                log.warning("cannot tell where partition %d ends: %r", viewer.partition, exc)
                await asyncio.sleep(RETRY)
            else:
                viewer.position, viewer.since = place
                return

    def attach(self, viewer: Viewer) -> bool:
        """Show a joined viewer what comes; False while he stands behind the live end."""
        return self.follower.attach(viewer, viewer.partition)

    def leave(self, viewer: Viewer) -> None:
        """Show nothing more to a joined viewer."""
        self.follower.detach(viewer)
        self.follower.close(viewer.partition)

    def publish(self, session: str, record: Record, parent: Context | None = None) -> asyncio.Task[int]:
        """Store a record in the session's place among the transcripts; the task gives its offset.

        A trace begins here, or goes on where its `parent` is.

        Raises:
            BrokerError: it is not even tried: no connection, or earlier records are stuck.
        """
        if not self._connected.is_set():
            raise BrokerError(self.trouble or "not connected to Kafka")
        place, value = (self._partition_of(session), session.encode()), encode(record)
        if self._tracer is None:
            return self.publisher.publish(*place, value, tracing.headers_of(parent))
        span = tracing.sending(self._tracer, TRANSCRIPTS.on(prefix=self.settings.topic_prefix), session, parent)
        stored = self.publisher.publish(*place, value, tracing.headers_of(span))
        stored.add_done_callback(lambda task: tracing.sent(span, task))
        return stored

    def _partition_of(self, session: str) -> int:
        """The default partitioner's choice, so that any producer's records of a session meet in one partition."""
        every = list(range(self._partitions))
        return int(DefaultPartitioner()(session.encode(), every, every))
