"""Where the tests get a Kafka from: the address given, Docker, or Java with Maven; the embedded broker for the rest."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from ops.admin import admin_client, catalogue, create_topics
from ops.broker import kafka
from ops.broker.kafka import ApacheKafka, kafka_version
from ops.broker.process import LocalBroker, answers
from ops.ports import free_port
from pipeline.errors import BrokerError
from pipeline.settings import Settings


class Broker(Protocol):
    """What a test may know of the broker that it is given."""

    name: str
    version: str
    is_real: bool

    @property
    def bootstrap_servers(self) -> str: ...

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


@dataclass
class GivenKafka:
    """The cluster that KAFKA_BOOTSTRAP_SERVERS names; it is neither started nor stopped by us."""

    bootstrap_servers: str
    name: str = "Apache Kafka at KAFKA_BOOTSTRAP_SERVERS"
    version: str = "unknown"
    is_real: bool = True

    async def start(self) -> None:
        """Refuse brokers that only speak the protocol: a producer of Apache Kafka can be idempotent."""
        try:
            async with AIOKafkaProducer(bootstrap_servers=self.bootstrap_servers, enable_idempotence=True):
                pass
        except KafkaError as exc:
            raise BrokerError(f"no real Apache Kafka answers at {self.bootstrap_servers} ({exc!r})") from exc

    async def stop(self) -> None:
        """Leave it as it is."""


class DockerKafka(LocalBroker):
    """Apache's own image, on a fixed port so that it comes back where it was."""

    name = "Apache Kafka (Docker)"
    is_real = True
    version = kafka_version()

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._container: Any = None

    async def prepare(self) -> list[str]:
        """The container is the process."""
        return []

    async def start(self) -> None:
        """Create the container, or start it again on its data."""
        if self._container is None:
            from testcontainers.core.container import DockerContainer

            container = DockerContainer(f"apache/kafka:{kafka_version()}").with_bind_ports(9092, self.port)
            for name, value in self._environment().items():
                container.with_env(name, value)
            self._container = container.start().get_wrapped_container()
        else:
            self._container.start()
        async with asyncio.timeout(120):
            while not await answers(self.bootstrap_servers):
                await asyncio.sleep(0.2)

    def _environment(self) -> dict[str, str]:
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": "1@localhost:9093",
            "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap_servers}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": "0",
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
        }
        return {"KAFKA_" + name.upper().replace(".", "_"): value for name, value in properties.items()}

    async def stop(self) -> None:
        """Remove the container."""
        self._container.remove(force=True)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._container.kill()

    def freeze(self) -> None:
        """Let it stand still."""
        self._container.pause()

    def thaw(self) -> None:
        """Let it go on."""
        self._container.unpause()


@cache
def has_docker() -> bool:
    """Whether a Docker daemon answers."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "version"], capture_output=True, timeout=20).returncode == 0


def own_kafka(folder: Callable[[], Path]) -> LocalBroker | None:
    """A Kafka that a test may kill, not yet started; nothing where none can be had."""
    if has_docker():
        return DockerKafka(free_port())
    return ApacheKafka(folder()) if kafka.can_run() else None


def find_kafka(environ: Mapping[str, str], folder: Callable[[], Path]) -> Broker | None:
    """The Kafka for tests that only use it, not yet started; nothing where none can be had."""
    if address := environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        return GivenKafka(address)
    return own_kafka(folder)


def in_ci() -> bool:
    """Whether a missing part fails the run instead of skipping tests."""
    return os.environ.get("CI", "").lower() in ("1", "true")


MISSING = f"needs a real Apache Kafka: {kafka.HOW_TO_GET_ONE}"


@asynccontextmanager
async def with_topics(broker: Broker, folder: Path) -> AsyncIterator[Settings]:
    """Settings with topics and groups of their own, 4 partitions a topic; the topics are deleted at the end."""
    settings = Settings(
        kafka_bootstrap_servers=broker.bootstrap_servers,
        kafka_embedded=not broker.is_real,
        topic_prefix=f"t{uuid.uuid4().hex[:8]}",
        data_path=folder / "data",
        batch_storage_path=folder / "results",
        port=free_port(),
    )
    settings.data_path.mkdir()
    await create_topics(settings, partitions=4)
    yield settings
    if isinstance(broker, LocalBroker) and broker.process.exit_code is not None:
        return  # the test ended it
    async with admin_client(settings) as client:
        await client.delete_topics(list(catalogue(settings.topic_prefix)))
