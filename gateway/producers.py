"""Kafka producers of the gateway: opened whole or not at all, let go of without waiting for a broker that is away."""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer

from pipeline.settings import Settings
from pipeline.starting import started


async def open_producer(settings: Settings, **options: Any) -> AIOKafkaProducer:
    """A connected producer whose records are stored when every copy is.

    Raises:
        KafkaError: no broker answers.
    """
    idempotent = not settings.kafka_embedded
    return await started(
        AIOKafkaProducer(**settings.kafka_client(), acks="all", enable_idempotence=idempotent, **options)
    )


async def close_producer(producer: AIOKafkaProducer, within: float = 1.0) -> None:
    """Flush and let go; after `within` seconds it waits for what no broker will acknowledge."""
    closing = asyncio.ensure_future(producer.stop())
    if not (await asyncio.wait({closing}, timeout=within))[0]:
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
