"""A connection to read parts of topics with, and the partitions that there are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from gateway.log_range import range_reader
from ops.admin import topic_states, wait_for_broker
from pipeline.errors import BrokerError
from pipeline.settings import Settings


@asynccontextmanager
async def log_reader(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """A connected consumer for `read_range`.

    Raises:
        BrokerError: no broker answers, or it refuses what is asked of it.
    """
    await wait_for_broker(settings)
    try:
        async with range_reader(settings) as consumer:
            yield consumer
    except KafkaError as exc:
        raise BrokerError(f"Kafka at {settings.kafka_bootstrap_servers} refused: {exc}") from exc


async def partitions_of(settings: Settings, topic: str) -> list[TopicPartition]:
    """Every partition of a topic.

    Raises:
        BrokerError: there is no such topic.
    """
    count = {state.name: state.partitions for state in await topic_states(settings)}.get(topic, 0)
    if not count:
        raise BrokerError(f"Kafka has no topic {topic}. Run `realtime-rag topics create`, or correct TOPIC_PREFIX.")
    return [TopicPartition(topic, number) for number in range(count)]
