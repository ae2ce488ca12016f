"""The bare side: consume, decode, encode, produce, commit, with aiokafka alone and nothing around it.

It is at least once in the simplest way: every interval it waits for the last output of each partition and commits. It
has no epochs, no progress by record, no dead letters, no lanes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from agents.apps import HEARTBEAT, MAX_REQUEST, REBALANCE_TIMEOUT, SESSION_TIMEOUT
from bench.layouts import Step
from pipeline.settings import Settings
from topics import headers
from topics.catalog import group_of
from topics.codec import decode, encode
from topics.sources import Source

EPOCH = 1


class Hop:
    """One consumer and one producer, as a stage has them."""

    def __init__(self, step: Step, settings: Settings) -> None:
        self.step, self.settings = step, settings
        self.output = step.output.on(prefix=settings.topic_prefix)
        self.consumer = AIOKafkaConsumer(
            step.input.on(prefix=settings.topic_prefix),
            **settings.kafka_client(),
            group_id=group_of(step.name, prefix=settings.topic_prefix),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=settings.fetch_wait_ms,
            session_timeout_ms=round(SESSION_TIMEOUT * 1000),
            heartbeat_interval_ms=round(HEARTBEAT * 1000),
            rebalance_timeout_ms=round(REBALANCE_TIMEOUT * 1000),
        )
        self.producer = AIOKafkaProducer(
            **settings.kafka_client(), acks="all", enable_idempotence=True, linger_ms=0, max_request_size=MAX_REQUEST
        )
        self._sent: dict[TopicPartition, tuple[int, Any]] = {}

    async def start(self) -> None:
        """Connect and join the group."""
        await self.producer.start()
        await self.consumer.start()

    async def run(self) -> None:
        """Copy until cancelled; an output that could not be stored ends it."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._copy())
            tasks.create_task(self._commit())

    async def _copy(self) -> None:
        while True:
            for place, batch in (await self.consumer.getmany(timeout_ms=1000)).items():
                future = None
                for raw in batch:
                    future = await self._handle(raw)
                self._sent[place] = (batch[-1].offset + 1, future)

    async def _handle(self, raw: Any) -> Any:
        step = self.step
        source: Source | None = Source(raw.offset)
        if not step.input.foreign:
            source = headers.read_stamp(raw.headers).source
        value = encode(step.make(decode(step.input, raw.value)))
        stamp = headers.stamp(source or Source(raw.offset), EPOCH, raw.offset)
        return await self.producer.send(self.output, value, raw.key, raw.partition, headers=stamp)

    async def _commit(self) -> None:
        while True:
            await asyncio.sleep(self.settings.commit_interval)
            due, self._sent = self._sent, {}
            for _, future in due.values():
                await future  # stored in order: with the last one all of the partition are
            if due:
                await self.consumer.commit({place: offset for place, (offset, _) in due.items()})

    async def stop(self) -> None:
        """Leave the group and close the connections."""
        await self.consumer.stop()
        await self.producer.stop()


async def start(steps: Sequence[Step], settings: Settings) -> list[Hop]:
    """Hops that have joined their groups, as many as stages, all in this process."""
    hops = [Hop(step, settings) for step in steps]
    await asyncio.gather(*(hop.start() for hop in hops))
    return hops
