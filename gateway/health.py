"""Whether the gateway lives, and whether a question would be answered: its own bus, the topics, the three stages."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import asdict, dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError
from fastapi import APIRouter, Response

from gateway.bus import Bus
from gateway.providers import pages_of, provider_states
from gateway.tasks import Tasks
from gateway.version import VERSION
from pipeline.settings import Settings
from topics.catalog import DEAD_LETTERS, QUESTIONS, RIVER, SENTENCES, TRANSCRIPTS, Lane, group_of

FRESH = 0.5  # seconds that an answer of the broker is used for
ANSWER_WITHIN = 3.0  # seconds for the broker
STAGES = {"sentences": TRANSCRIPTS, "questions": SENTENCES, "answers": QUESTIONS}  # a stage and what it reads


@dataclass(frozen=True)
class Check:
    """One thing that has to be so, and what a person should know of it."""

    ok: bool
    note: str


class Probe:
    """Asks the broker, at most every `FRESH` seconds however many callers there are."""

    def __init__(self, settings: Settings, bus: Bus) -> None:
        self._settings, self._bus = settings, bus
        self._admin: AIOKafkaAdminClient | None = None
        self._turn = asyncio.Lock()
        self._checks: dict[str, Check] = {}
        self._asked = float("-inf")

    async def checks(self) -> dict[str, Check]:
        """Every check by name: bus, broker, topics, and the stages."""
        async with self._turn:
            if asyncio.get_running_loop().time() - self._asked > FRESH:
                self._checks = await self._ask()
                self._asked = asyncio.get_running_loop().time()
        trouble = self._bus.trouble
        return {"bus": Check(trouble is None, trouble or "connected"), **self._checks}

    async def close(self) -> None:
        """Let go of the connection."""
        admin, self._admin = self._admin, None
        if admin is not None:
            await admin.close()

    async def _ask(self) -> dict[str, Check]:
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                return await self._look(await self._connected())
        except (KafkaError, OSError, TimeoutError, ValueError) as exc:
            with contextlib.suppress(KafkaError, OSError):
                await self.close()
            unknown = dict.fromkeys(["topics", *STAGES], Check(False, "unknown while the broker does not answer"))
            address = self._settings.kafka_bootstrap_servers
            return {"broker": Check(False, f"no answer from {address}: {exc or type(exc).__name__}"), **unknown}

    async def _connected(self) -> AIOKafkaAdminClient:
        if self._admin is None:
            admin = AIOKafkaAdminClient(**self._settings.kafka_client(), request_timeout_ms=3000)
            try:
                await admin.start()
            except BaseException:
                await admin.close()
                raise
            self._admin = admin
        return self._admin

    async def _look(self, admin: AIOKafkaAdminClient) -> dict[str, Check]:
        prefix = self._settings.topic_prefix
        wanted = [topic.on(Lane.LIVE, prefix) for topic in RIVER] + [DEAD_LETTERS.on(prefix=prefix)]
        there = set(await admin.list_topics())  # asking for a missing one by name would create it on some brokers
        if missing := [name for name in wanted if name not in there]:
            note = f"missing: {', '.join(missing)}; create them with: realtime-rag topics create"
            stages = dict.fromkeys(STAGES, Check(False, "its topics are missing"))
            return {"broker": Check(True, "answers"), "topics": Check(False, note), **stages}
        counts = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics(wanted)}
        groups = await self._groups(admin)
        stages = {}
        for stage, reads in STAGES.items():
            topic = reads.on(Lane.LIVE, prefix)
            stages[stage] = stage_check(groups.get(group_of(stage, Lane.LIVE, prefix)), topic, counts[topic])
        return {"broker": Check(True, "answers"), "topics": Check(True, f"{len(wanted)} there"), **stages}

    async def _groups(self, admin: AIOKafkaAdminClient) -> dict[str, dict[str, Any]]:
        names = [group_of(stage, Lane.LIVE, self._settings.topic_prefix) for stage in STAGES]
        try:  # one group a request: the embedded broker garbles the second
            found = [answer.to_object() for name in names for answer in await admin.describe_consumer_groups([name])]
        except GroupCoordinatorNotAvailableError:  # a new cluster has none before its first group
            return {}
        return {group["group"]: group for answer in found for group in answer["groups"]}


def stage_check(group: dict[str, Any] | None, topic: str, partitions: int) -> Check:
    """Whether a stage's group (as DescribeGroups shows it) has every partition of its topic.

    The embedded broker does not say who has what; there a stable group with a member counts.
    """
    state, members = (group["state"], group["members"]) if group else ("unknown", [])
    if state != "Stable" or not members:
        return Check(False, f"no worker has its partitions yet (group is {state.lower() or 'unknown'})")
    said = [member["member_assignment"] for member in members if member["member_assignment"]]
    if not said:
        return Check(True, f"{len(members)} workers")
    assigned = {partition for data in said for partition in _assigned(data, topic)}
    return Check(len(assigned) == partitions, f"{len(assigned)} of {partitions} partitions at {len(members)} workers")


def _assigned(data: bytes, topic: str) -> list[int]:
    decoded = ConsumerProtocolMemberAssignment.decode(data)
    return [partition for name, partitions in decoded.assignment if name == topic for partition in partitions]


def routes(settings: Settings, probe: Probe, tasks: Tasks) -> APIRouter:
    """`/livez` for restarts, `/readyz` for traffic, `/health` for a person or a dashboard."""
    router = APIRouter(tags=["health"])

    @router.get("/livez")
    async def livez() -> dict[str, str]:
        """Answers as long as the process can."""
        return {"status": "alive"}

    @router.get("/readyz", responses={503: {"description": "not yet, and why"}})
    async def readyz(response: Response) -> dict[str, Any]:
        """200 when the broker is there, with the topics, and every stage has all its partitions."""
        checks = await probe.checks()
        ready = all(check.ok for check in checks.values())
        response.status_code = 200 if ready else 503
        told = {name: asdict(check) for name, check in checks.items()}
        return {"status": "ready" if ready else "not ready", "checks": told}

    @router.get("/health")
    async def health() -> dict[str, Any]:
        """What works, in the form that clients of the service know."""
        checks = await probe.checks()
        works = {name: check.ok for name, check in checks.items()}
        overall = "healthy" if all(works.values()) else "degraded" if works["bus"] and works["broker"] else "unhealthy"
        name, found = settings.rag_provider, settings.search_provider
        search = {"name": found, "type": "search", "status": works["answers"]} if found else None
        return {
            "status": overall,
            "version": VERSION,
            "services": {
                "rag": works["answers"],
                "search": bool(settings.search_provider),
                "batch_processing": settings.batch_enabled and tasks.trouble is None,
                "bus": works["bus"],
            },
            "providers": {"rag": {"name": name, "type": "rag", "status": works["answers"]}, "search": search},
            "states": await provider_states(pages_of(settings)),
        }

    return router
