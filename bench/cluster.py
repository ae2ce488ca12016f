"""The real Kafka that is measured on, and topics on it for the time of one measurement."""

from __future__ import annotations

import dataclasses
import secrets
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaError

from ops.admin import admin_client
from ops.broker.kafka import ApacheKafka, can_run
from pipeline.errors import BrokerError
from pipeline.settings import Settings
from topics.catalog import PARTITIONS

HEAP = "768m"
_JAVA = "Java 17 and Maven (Debian: apt-get install default-jre-headless maven)"
_ONE_OF_OURS = f"correct the address, or unset it and have {_JAVA}, with which one is started for the run."


@asynccontextmanager
async def real_kafka(settings: Settings) -> AsyncIterator[tuple[Settings, str]]:
    """Settings with the address of an Apache Kafka, and its name: the one that is named, or one started for the run.

    Raises:
        BrokerError: none can be had; the message says how to get one.
    """
    if settings.kafka_bootstrap_servers:
        await _refuse_others(settings)
        yield settings, f"Apache Kafka at {settings.kafka_bootstrap_servers}"
        return
    if not can_run():
        raise BrokerError(f"The benchmarks need a real Apache Kafka: set KAFKA_BOOTSTRAP_SERVERS, or install {_JAVA}.")
    with tempfile.TemporaryDirectory(prefix="realtime-rag-bench-") as folder:
        async with ApacheKafka(Path(folder), heap=HEAP) as broker:
            yield (
                dataclasses.replace(settings, kafka_bootstrap_servers=broker.bootstrap_servers),
                f"{broker.name} {broker.version}, started for this run, heap {HEAP}",
            )


async def _refuse_others(settings: Settings) -> None:
    """Some brokers only speak the protocol; a producer of Apache Kafka can be idempotent."""
    producer = AIOKafkaProducer(**settings.kafka_client(), enable_idempotence=True)
    try:
        await producer.start()
    except (KafkaError, OSError) as exc:
        address = settings.kafka_bootstrap_servers
        raise BrokerError(
            f"No real Apache Kafka answers at KAFKA_BOOTSTRAP_SERVERS={address} ({exc!r}): {_ONE_OF_OURS}"
        ) from exc
    finally:
        await producer.stop()


def fresh(settings: Settings, folder: Path) -> Settings:
    """Settings with topics, groups and folders that nobody used before."""
    prefix = f"bench-{secrets.token_hex(4)}"
    data = folder / prefix
    data.mkdir()
    return dataclasses.replace(settings, topic_prefix=prefix, data_path=data, batch_storage_path=data / "results")


@asynccontextmanager
async def topics_for(settings: Settings, names: Sequence[str]) -> AsyncIterator[None]:
    """Create topics, and delete them at the end, so that a broker never carries more than one measurement's."""
    async with admin_client(settings) as admin:
        new = [NewTopic(name, PARTITIONS, settings.kafka_replication) for name in names]
        response = await admin.create_topics(new)
        if refused := [error for error in response.topic_errors if error[1]]:
            raise BrokerError(f"Kafka would not create the topics of the benchmark: {refused}")
    try:
        yield
    finally:
        await delete_topics(settings, names)


async def delete_topics(settings: Settings, names: Sequence[str]) -> None:
    """Remove topics and what stands on them."""
    async with admin_client(settings) as admin:
        await admin.delete_topics(list(names))
