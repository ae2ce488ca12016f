"""Reads a part of a topic, from given offsets or a time to where it ends now, without joining a group."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from pipeline.errors import BrokerError
from pipeline.settings import Settings

PATIENCE = 30.0  # seconds without a record before we stop waiting for one


@asynccontextmanager
async def range_reader(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """A connected consumer for `read_range`, in no group; raises KafkaError."""
    options = {"enable_auto_commit": False, "auto_offset_reset": "none", "fetch_max_wait_ms": settings.fetch_wait_ms}
    consumer = AIOKafkaConsumer(**settings.kafka_client(), **options)
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def starts(
    consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition], since: float, settings: Settings
) -> dict[TopicPartition, int]:
    """Offset of the first record of each partition that is not older than `since`, seconds since 1970."""
    wanted = list(partitions)
    begins: dict[TopicPartition, int] = await consumer.beginning_offsets(wanted)
    if since <= 0 or settings.kafka_embedded:  # the embedded broker cannot look up times
        return begins
    found = await consumer.offsets_for_times(dict.fromkeys(wanted, int(since * 1000)))
    ends = await consumer.end_offsets(wanted)
    return {tp: max(begins[tp], found[tp].offset) if found.get(tp) else ends[tp] for tp in wanted}


async def read_range(consumer: AIOKafkaConsumer, places: Mapping[TopicPartition, int]) -> AsyncIterator[Any]:
    """The records from these offsets on, up to where each partition ended when it was first asked.

    The end is the one that a fetch tells: the one that can be looked up is wrong on the embedded broker. An offset
    outside the log gives nothing.

    Raises:
        BrokerError: the broker gives nothing for a while.
    """
    consumer.assign(list(places))
    for tp, offset in places.items():
        consumer.seek(tp, offset)
    ends: dict[TopicPartition, int] = {}
    unread, heard = set(places), time.monotonic()
    while unread:
        if time.monotonic() - heard > PATIENCE:
            names = ", ".join(f"{tp.topic}/{tp.partition}" for tp in sorted(unread))
            raise BrokerError(f"Kafka gives nothing of {names}. See that every partition has a leader, and try again.")
        try:
            batches = await consumer.getmany(*unread, timeout_ms=200)
        except OffsetOutOfRangeError as exc:
            unread -= set(exc.args[0])
            continue
        for batch in batches.values():
            for record in batch:
                yield record
            heard = time.monotonic()
        for tp in list(unread):
            if (end := consumer.highwater(tp)) is not None and await consumer.position(tp) >= ends.setdefault(tp, end):
                unread.discard(tp)
