"""Task events as the stages of the bulk lane read and write them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from pipeline.settings import Settings
from pipeline.starting import started
from pipeline.task_log import TaskLog
from topics.catalog import TASKS
from topics.codec import encode
from topics.tasks import TaskRecord, key_of

FETCH_WAIT = 100  # milliseconds that a fetch may wait for an event


def task_log(settings: Settings) -> TaskLog:
    """The task events of the settings' Kafka; `run` reads them."""
    return TaskLog(lambda: _consumer(settings), (KafkaError, OSError, TimeoutError))


@asynccontextmanager
async def _consumer(settings: Settings) -> AsyncIterator[Any]:
    topic, wait = TASKS.on(prefix=settings.topic_prefix), min(settings.fetch_wait_ms, FETCH_WAIT)
    options = {"enable_auto_commit": False, "auto_offset_reset": "earliest", "fetch_max_wait_ms": wait}
    consumer = AIOKafkaConsumer(topic, **settings.kafka_client(), **options)  # without a group: all of it
    try:  # not `async with`: a start that fails would leave it open
        await consumer.start()
        if not consumer.assignment():
            raise KafkaError(f"Kafka shows no partition of {topic}")
        await consumer.seek_to_beginning()
        yield consumer
    finally:
        await consumer.stop()


async def started_producer(settings: Settings) -> AIOKafkaProducer:
    """A connected producer for `write`; a start that fails leaves nothing open.

    Raises:
        KafkaError: no broker answers.
    """
    return await started(AIOKafkaProducer(**settings.kafka_client(), acks="all"))


async def write(producer: Any, settings: Settings, task: str, record: TaskRecord) -> None:
    """Store one event; `producer` is an aiokafka one."""
    await producer.send_and_wait(TASKS.on(prefix=settings.topic_prefix), encode(record), key_of(task, record))
