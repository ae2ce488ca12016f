"""Puts a stage together: one Faust app from its logic and the settings, and a process that runs some of them."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import faust
import uvloop
from aiokafka.errors import KafkaError
from faust.contrib.asgi import bind_to_running_loop

from agents.logic import Logic
from agents.metrics import page
from agents.runtime import Stage
from agents.transport import records
from agents.watchdog import watch
from pipeline.errors import ConfigurationError, RagError
from pipeline.settings import Settings
from topics.catalog import group_of

log = logging.getLogger(__name__)

STAGES = ("sentences", "questions", "answers", "results")
WATCHDOG_GRACE = 30.0  # seconds beyond the handler deadline
SESSION_TIMEOUT, REBALANCE_TIMEOUT = 10.0, 60.0  # seconds
EMBEDDED_SESSION_TIMEOUT = 4.0  # seconds; a join there takes half of it
HEARTBEAT = 1.0  # seconds; by it a worker learns of a rebalance, and the whole group waits for the last to learn
METADATA_AGE = 3_000  # milliseconds; a broker just back may not know its topics, and nobody asks again before this
NEVER = 1e8  # seconds; Faust would otherwise leave the group after 1000 s without a partition and never come back
SWITCH_INTERVAL = 0.0005  # seconds; at Python's 5 ms the consumer threads of several stages wait for one another
MAX_REQUEST = 2 * 1024 * 1024  # bytes: a dead letter is a record of 1 MiB and its headers

WENT_AWAY = "Kafka went away while the stages started: %s"


def make_app(logic: Logic, settings: Settings) -> faust.App:
    """The Faust app of one stage on the settings' lane; its agent feeds batches to the logic."""
    app = faust.App(
        group_of(logic.name, settings.lane, settings.topic_prefix),
        broker=[f"batch://{server.strip()}" for server in _servers(settings)],
        broker_credentials=_credentials(settings),
        broker_session_timeout=EMBEDDED_SESSION_TIMEOUT if settings.kafka_embedded else SESSION_TIMEOUT,
        broker_heartbeat_interval=HEARTBEAT,
        broker_rebalance_timeout=REBALANCE_TIMEOUT,
        broker_max_poll_interval=NEVER,
        broker_commit_interval=settings.commit_interval,
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=METADATA_AGE,
        producer_linger=0,
        producer_max_request_size=MAX_REQUEST,
        table_standby_replicas=0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        worker_redirect_stdouts=False,
        datadir=settings.data_path / "faust",
    )
    stage = Stage(app, logic, settings)
    source = records(app, logic.input.on(settings.lane, settings.topic_prefix))

    async def feed(batches: Any) -> None:
        guard(app)
        await stage.run(batches)

    app.agent(source, name=f"{app.conf.id}.stage")(feed)
    return app


def _servers(settings: Settings) -> list[str]:
    if not settings.kafka_bootstrap_servers:
        raise ConfigurationError("KAFKA_BOOTSTRAP_SERVERS is not set: a stage needs the address of a Kafka broker.")
    return settings.kafka_bootstrap_servers.split(",")


def _credentials(settings: Settings) -> Any:
    options = settings.kafka_client()
    context = options.get("ssl_context")
    if "sasl_mechanism" in options:
        names = ("sasl_plain_username", "sasl_plain_password")
        username, password = (options[name] for name in names)
        mechanism = options["sasl_mechanism"]
        return faust.SASLCredentials(username=username, password=password, mechanism=mechanism, ssl_context=context)
    return faust.SSLCredentials(context=context) if context else None


def make_stage(name: str, settings: Settings) -> faust.App:
    """The app of a stage by its name.

    Raises:
        ConfigurationError: no stage has this name.
    """
    if name not in STAGES:
        raise ConfigurationError(f"There is no stage {name!r}; the stages are {', '.join(STAGES)}.")
    app: faust.App = importlib.import_module(f"agents.{name}").make(settings)
    return app


def app_on_demand(make: Callable[[Settings], faust.App]) -> Callable[[str], faust.App]:
    """A module's `__getattr__` that has `app` for `python -m faust -A`, built from the environment when asked for.

    Not a variable: importing a stage must neither read the environment nor open anything.
    """

    def attribute(name: str) -> faust.App:
        if name == "app":
            return make(Settings.from_env(os.environ))
        raise AttributeError(name)

    return attribute


def run_worker(names: Sequence[str], settings: Settings) -> int:
    """Run stages in this process until a signal (exit code 0) or a failure (1).

    Raises:
        RagError: a stage met what only a person can mend.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    return uvloop.run(_run(names, settings))


async def _run(names: Sequence[str], settings: Settings) -> int:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    apps = [make_stage(name, settings) for name in names]
    for app in apps:
        try:
            await app.stage.prepare()
        except KafkaError as exc:
            log.error(WENT_AWAY, exc)
            return 1
        bind_to_running_loop(app)
        app.finalize()
    async with page(apps, settings):
        return await _until_stopped(apps, stop)


async def _until_stopped(apps: Sequence[faust.App], stop: asyncio.Event) -> int:
    refusals: list[RagError] = []
    for app in apps:
        app.stage.refuse = refusals.append
    try:
        await asyncio.gather(*(app.start() for app in apps))
        spare_start_up()
    except KafkaError as exc:
        log.error(WENT_AWAY, exc)
        await asyncio.gather(*(app.stop() for app in apps))
        return 1
    stopping = asyncio.create_task(stop.wait())
    while not (stopping.done() or refusals or any(app.should_stop for app in apps)):
        await asyncio.wait([stopping], timeout=0.2)  # Faust has no awaitable for "crashed"
    crashed = any(app.crashed for app in apps)
    stopping.cancel()
    await asyncio.gather(*(app.stop() for app in apps))
    if refusals:
        raise refusals[0]
    return 1 if crashed else 0


def spare_start_up() -> None:
    """Let the garbage collector leave out what start-up made and will not free: records waited 30 ms for a full run."""
    gc.collect()
    gc.freeze()


def guard(app: Any) -> None:
    """Watch a running app: work that waits and nothing done for longer than a handler may take ends the process."""
    settings: Settings = app.stage.settings

    def state() -> tuple[bool, object]:
        assignments = list(app.consumer.assignments.values())
        positions = tuple(assignment.committed[0] for assignment in assignments)
        if app.stage.lanes.is_held():
            return False, positions
        return any(a.progress.open() or not app.consumer.caught_up(a) for a in assignments), positions

    watch(settings.handler_deadline + WATCHDOG_GRACE, state, app.conf.id)
