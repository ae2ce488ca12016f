"""Everything on one machine: a broker, its topics, a process with the stages of each lane, a gateway; and their end."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

import ops
from gateway.auth import check_binding
from gateway.providers import address, pages_of
from ops.admin import create_topics, wait_for_broker
from ops.broker.tansu import Tansu
from ops.ports import free_port
from ops.processes import Process, print_line
from ops.supervisor import keep_running, last_words
from ops.surroundings import check_folder, check_port
from pipeline.cascade import model_of
from pipeline.end_models import reader_of
from pipeline.errors import BrokerError, RagError
from pipeline.providers import open_provider
from pipeline.settings import Settings
from topics.catalog import RIVER

STAGES = tuple(topic.noun for topic in RIVER[1:])  # a stage is named for what it makes
BULK_STAGES = (*STAGES, "results")
BULK_WORKER = ["worker", *BULK_STAGES, "--lane", "bulk"]
READY_DEADLINE = 60.0  # seconds from the first process until all stages are assigned
GATEWAY_GRACE = 10.0  # seconds for the gateway to tell its clients to come back


class NotReadyError(RagError):
    """The processes run, but in their time not all stages got their partitions; the message says what lacks."""


@dataclass(frozen=True)
class Running:
    """What was started. `settings` are those in force: the port taken, the broker's address.

    `pages` are the addresses of the workers' own pages, with `/metrics` and `/health`.
    """

    settings: Settings
    broker: str
    stages: Process
    gateway: Process
    bulk: Process | None
    watches: Sequence[asyncio.Task[None]]
    pages: Sequence[str]

    @property
    def url(self) -> str:
        """Address of the gateway."""
        return address(self.settings.host, self.settings.port)

    @property
    def ws_url(self) -> str:
        """Address of the WebSocket."""
        return self.url.replace("http", "ws", 1) + self.settings.ws_path

    async def failure(self) -> None:
        """Wait until something ends that cannot be started again; raises its RagError."""
        await _first_failure(self.watches)


@asynccontextmanager
async def up(
    settings: Settings, *, free_ports: bool = False, log: Callable[[str], None] | None = print_line
) -> AsyncIterator[Running]:
    """Start everything and wait until all stages are assigned; on leaving, stop everything in order.

    Without KAFKA_BOOTSTRAP_SERVERS an embedded broker is started. `log` gets every line of the children; `free_ports`
    takes ports that nobody uses instead of the configured ones.

    Raises:
        RagError: something is in the way; the message says what to do.
    """
    check_binding(settings)
    check_folder("DATA_PATH", settings.data_path)
    if settings.batch_enabled and not settings.database_url:
        check_folder("BATCH_STORAGE_PATH", settings.batch_storage_path)
    if free_ports or settings.port == 0:
        settings = dataclasses.replace(settings, port=free_port(settings.host))
    check_port(settings)
    await open_provider(settings)  # what is wrong with these is said before anything runs
    model_of(settings.question_model)
    reader_of(settings.sentence_model)
    async with AsyncExitStack() as stack:
        settings, broker, watches = await _broker(settings, stack, free_ports)
        await create_topics(settings)
        workers = [_with_page(settings, number) for number in range(2 if settings.batch_enabled else 1)]
        pages = [page for worker in workers for page in pages_of(worker)]
        seeing = dataclasses.replace(settings, answers_pages=settings.answers_pages or ",".join(pages))
        stages = _child("stages", ["worker", *STAGES], workers[0], log)
        gateway = _child("gateway", ["gateway"], seeing, log)
        bulk = _child("bulk", BULK_WORKER, workers[1], log) if settings.batch_enabled else None
        for process in filter(None, (bulk, stages, gateway)):
            watches.append(asyncio.create_task(keep_running(process)))
            grace = GATEWAY_GRACE if process is gateway else settings.drain_timeout + 5.0
            stack.push_async_callback(_end, watches[-1], process, grace)
        running = Running(settings, broker, stages, gateway, bulk, tuple(watches), pages)
        await _ready(running)
        yield running


async def _broker(
    settings: Settings, stack: AsyncExitStack, any_port: bool
) -> tuple[Settings, str, list[asyncio.Task[None]]]:
    """The broker in force, and a watch over it when it is ours."""
    if settings.kafka_bootstrap_servers:
        await wait_for_broker(settings)
        return settings, f"Kafka at {settings.kafka_bootstrap_servers}", []
    broker = Tansu(free_port() if any_port else None)
    await stack.enter_async_context(broker)
    watch = asyncio.create_task(_until_broker_ends(broker))
    stack.callback(watch.cancel)
    settings = dataclasses.replace(settings, kafka_bootstrap_servers=broker.bootstrap_servers, kafka_embedded=True)
    return settings, f"{broker.name} {broker.version} at {broker.bootstrap_servers}", [watch]


async def _until_broker_ends(broker: Tansu) -> None:
    code = await broker.process.ended()
    raise BrokerError(f"The embedded broker ended with {code}, and all records with it: {last_words(broker.process)}")


def _with_page(settings: Settings, number: int) -> Settings:
    """What a worker is told, so that it has a page of its own: on STAGE_PORT and those after it, else on loopback."""
    own = dataclasses.replace(settings, answers_pages="")
    if settings.stage_port:
        return dataclasses.replace(own, stage_port=settings.stage_port + number)
    return dataclasses.replace(own, host="127.0.0.1", stage_port=free_port())


def _child(name: str, arguments: list[str], settings: Settings, log: Callable[[str], None] | None) -> Process:
    return Process(name, [sys.executable, "-m", "ops.cli", *arguments], child_environment(settings), log)


def child_environment(settings: Settings) -> dict[str, str]:
    """Environment of a child that has to see exactly these settings, whatever a `.env` file or ours says.

    PYTHONPATH: our package names are common words, and the environment may hold another distribution's.
    """
    named = {field.name.upper(): str(getattr(settings, field.name)) for field in dataclasses.fields(settings)}
    return {**os.environ, **named, "PYTHONPATH": str(Path(ops.__file__).parents[1]), "PYTHONUNBUFFERED": "1"}


async def _end(watch: asyncio.Task[None], process: Process, grace: float) -> None:
    watch.cancel()
    await asyncio.wait({watch})
    await process.stop(grace)


async def _ready(running: Running) -> None:
    until_ready = asyncio.create_task(_until_green(running))
    try:
        await _first_failure([until_ready, *running.watches])
    finally:
        until_ready.cancel()


async def _first_failure(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for the first task that ends; raises what it raised."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


def _lacking(response: httpx.Response) -> str:
    checks = response.json().get("checks", {})
    return "; ".join(f"{name}: {check['note']}" for name, check in checks.items() if not check["ok"])


async def _until_green(running: Running) -> None:
    last = "the gateway did not answer"
    try:
        async with asyncio.timeout(READY_DEADLINE), httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
            while True:
                try:
                    response = await client.get(f"{running.url}/readyz")
                    if response.is_success:
                        return
                    last = _lacking(response)
                except httpx.HTTPError:
                    pass  # not listening yet
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise NotReadyError(f"Not ready after {READY_DEADLINE:g} s: {last}. The log above says more.") from None
