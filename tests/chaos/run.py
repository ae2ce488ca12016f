"""One run: broker, cluster, provider and clients brought together, faults done, evidence gathered."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ops.broker.process import LocalBroker
from pipeline.settings import Settings
from tests.chaos.cluster import Cluster
from tests.chaos.evidence import Evidence, read_topics
from tests.chaos.faults import Chaos
from tests.chaos.provider import MoodyProvider, provider_with
from tests.chaos.schedule import Step, draw
from tests.chaos.speech import Speaker
from tests.chaos.talkers import Talker
from tests.client import until_ready

CLIENTS = 10
PREFIX = "chaos"
SPARE = 3  # one more kill for so many, as some meet no open records
WARM = 3.0  # seconds of talk before the first fault
READY_WITHIN = 120.0  # seconds


class Outcome(NamedTuple):
    """What a run left behind, and what else is to be told of it."""

    evidence: Evidence
    told: dict[str, Any]


async def run(
    seed: int, kills: int, broker: LocalBroker, folder: Path, tell: Callable[[str], None], seconds: float = math.inf
) -> Outcome:
    """A run on a started broker that nobody else uses, with faults for at most so many seconds.

    Logs of the processes and the evidence go into the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = Settings(
        kafka_bootstrap_servers=broker.bootstrap_servers, topic_prefix=PREFIX, data_path=folder, drain_timeout=4.0
    )
    began, evidence = time.monotonic(), Evidence()
    moody = MoodyProvider(seed)
    async with provider_with(moody) as provider:
        cluster = Cluster(settings, broker, provider.environ)
        async with cluster.running():
            for slot in cluster.of("gateway"):
                await until_ready(slot.settings, READY_WITHIN)
            tell(f"ready after {time.monotonic() - began:.0f} s")
            await _live_through(draw(seed, kills + 1 + kills // SPARE), seed, cluster, evidence, tell, seconds)
        evidence.calls = moody.calls()
    return await concluded(cluster, evidence, {"seconds": round(time.monotonic() - began)})


async def concluded(cluster: Cluster, evidence: Evidence, told: dict[str, Any], lane: str = "") -> Outcome:
    """Add what the topics of a lane (as of `read_topics`) say to the evidence, and save it."""
    settings = cluster.settings
    evidence.entries, evidence.commits = await read_topics(
        settings.kafka_bootstrap_servers, settings.topic_prefix, lane
    )
    evidence.save(settings.data_path / "evidence")
    exits = {slot.name: slot.exits for slot in cluster.slots.values() if slot.exits}
    return Outcome(evidence, {**told, "own_exits": exits})


async def _live_through(
    steps: list[Step], seed: int, cluster: Cluster, evidence: Evidence, tell: Callable[[str], None], seconds: float
) -> None:
    talkers = [
        Talker(f"c{number}", random.Random(f"{seed} talker {number}"), cluster.gateways) for number in range(CLIENTS)
    ]
    chaos, stop = Chaos(cluster, talkers), asyncio.Event()
    try:
        async with _connected(talkers), asyncio.TaskGroup() as group:
            for talker in talkers:
                speaker = Speaker(talker, random.Random(f"{seed} speaker {talker.name}"))
                group.create_task(speaker.speak(stop))
            await asyncio.sleep(WARM)
            await chaos.run(steps, tell, seconds)
            tell("no more faults; clients ask their last questions")
            stop.set()
        tell("late viewers read everything again")
        await asyncio.gather(*(talker.view_again() for talker in talkers))
    finally:
        evidence.events, evidence.faults = [event for talker in talkers for event in talker.events], chaos.done
        evidence.save(cluster.settings.data_path / "evidence")  # also of a run that breaks off


@asynccontextmanager
async def _connected(talkers: list[Talker]) -> AsyncIterator[None]:
    listening = [asyncio.create_task(talker.stay_connected()) for talker in talkers]
    try:
        yield
    finally:
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
