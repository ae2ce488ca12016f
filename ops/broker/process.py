"""What every broker of one machine has in common: a process on loopback that can be started, frozen and killed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from abc import ABC, abstractmethod
from typing import Self

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from ops.processes import Process
from pipeline.errors import BrokerError

START_DEADLINE = 60.0  # seconds; a JVM on a busy machine takes up to ten of them


class LocalBroker(ABC):
    """A broker on 127.0.0.1, for `async with` or for start and stop.

    Attributes:
        name: what it is, for people.
        version: of the broker, known once it was started.
        is_real: whether it is Apache Kafka.
        bootstrap_servers: its address, the same after every start.
    """

    name: str
    is_real: bool
    version: str

    def __init__(self, port: int) -> None:
        self.port = port
        self.process = Process("broker", [], log=None)

    @property
    def bootstrap_servers(self) -> str:
        """Address for clients."""
        return f"127.0.0.1:{self.port}"

    @abstractmethod
    async def prepare(self) -> list[str]:
        """Bring what the broker needs and say the command that runs it in the foreground.

        Raises:
            BrokerError: something is missing; the message says what to install.
        """

    async def start(self) -> None:
        """Start on the same port and data as before and wait until the broker answers.

        Raises:
            BrokerError: it ended or did not answer in time; the message has its last words.
        """
        self.process.command = await self.prepare()
        self.process.start()
        try:
            await self._answering()
        except BaseException:
            self.kill()
            raise

    async def _answering(self) -> None:
        until = time.monotonic() + START_DEADLINE
        while not await answers(self.bootstrap_servers):
            if self.process.exit_code is not None or time.monotonic() > until:
                last = " / ".join(line.strip() for line in list(self.process.last_lines)[-3:]) or "no output"
                raise BrokerError(f"{self.name} did not start on port {self.port}: {last}")
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """End the broker in order."""
        await self.process.stop(grace=15.0)

    def kill(self) -> None:
        """End the broker as a power cut would; its data stay."""
        self.process.kill()

    def freeze(self) -> None:
        """Let the broker stand still: it keeps its connections and answers nothing from here on."""
        self.process.signal(signal.SIGSTOP)
        if self.process.pid is not None:
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)  # its threads stop one by one

    def thaw(self) -> None:
        """Let a frozen broker go on."""
        self.process.signal(signal.SIGCONT)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()


async def answers(bootstrap_servers: str) -> bool:
    """Whether a broker at this address names itself as part of a cluster."""
    host, _, port = bootstrap_servers.rpartition(":")
    if not await _accepts(host, int(port)):
        return False
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=2000)
    try:
        await client.start()
        return bool((await client.describe_cluster())["brokers"])
    except (KafkaError, OSError):
        return False
    finally:
        await client.close()


async def _accepts(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True
