"""The gateway while Kafka is away, frozen, or not there yet: nothing acknowledged is lost, nothing piles up."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import httpx
import pytest

from ops.admin import create_topics
from ops.broker.process import LocalBroker
from ops.ports import free_port
from pipeline.settings import Settings
from tests.talker import Log, Talker, served
from topics.messages import Verdict

pytestmark = pytest.mark.integration


async def test_a_chunk_that_the_broker_does_not_confirm_is_not_acknowledged(
    own_kafka: LocalBroker, own_kafka_settings: Settings
) -> None:
    """SERVICE_UNAVAILABLE within 3 s, refusals at once after it, keepalives all the while; then it goes on."""
    settings = own_kafka_settings
    async with served(settings), Talker.at(settings) as talker, Log.of(settings) as log:
        await talker.chunk("before", id="1")
        await talker.hear()
        own_kafka.freeze()
        try:
            started = time.monotonic()
            await talker.chunk("during", id="2")
            await talker.chunk("during too", id="3")
            await talker.say("keepalive", id="k")
            heard = await talker.hear_all(3)
            waited = time.monotonic() - started
            assert [message["id"] for message in heard] == ["2", "3", "k"]
            assert [message.get("code") for message in heard] == ["SERVICE_UNAVAILABLE"] * 2 + [None]
            assert 2.5 < waited < 3.5
            started = time.monotonic()
            for number in range(50):
                await talker.chunk("refused", id=f"r{number}")
            await talker.say("keepalive")
            heard = await talker.hear_all(51)
            assert {message.get("code") for message in heard[:50]} == {"SERVICE_UNAVAILABLE"}
            assert time.monotonic() - started < 1
        finally:
            own_kafka.thaw()
        await _until_acknowledged(talker, "again")
        said = [chunk.id for _, chunk in await log.said(talker.session, 4)]
        assert said[0] == "1" and not any(id.startswith("r") for id in said)
        await log.answer(talker.session, 99, Verdict(kind="not_a_question", reason="still followed"))
        assert (await talker.hear())["reason"] == "still followed"


async def _until_acknowledged(talker: Talker, id: str) -> None:
    async with asyncio.timeout(20):
        while True:
            await talker.chunk("after", id=id)
            if (await talker.hear())["type"] == "ack":
                return
            await asyncio.sleep(0.1)


async def test_a_broker_that_is_killed_and_comes_back_is_used_again(
    own_kafka: LocalBroker, own_kafka_settings: Settings
) -> None:
    settings = own_kafka_settings
    async with served(settings), Talker.at(settings) as talker:
        await talker.chunk("before", id="1")
        await talker.hear()
        own_kafka.kill()
        while own_kafka.process.exit_code is None:
            await asyncio.sleep(0.01)
        await talker.chunk("during", id="2")
        assert (await talker.hear())["code"] == "SERVICE_UNAVAILABLE"
        async with Talker.at(settings) as newcomer:  # is greeted all the same
            assert "cursor" not in newcomer.greeting
            await own_kafka.start()
            await _until_acknowledged(talker, "3")
            await _until_acknowledged(newcomer, "1")
            async with Log.of(settings) as log:
                for client in (talker, newcomer):
                    await log.answer(client.session, 99, Verdict(kind="not_a_question", reason="followed"))
                    assert (await client.hear())["reason"] == "followed"


async def test_a_gateway_without_a_broker_starts_and_says_so(own_kafka: LocalBroker) -> None:
    nowhere = Settings(kafka_bootstrap_servers=f"127.0.0.1:{free_port()}", port=free_port())
    async with served(nowhere, connected=False), Talker.at(nowhere) as talker:
        await talker.chunk("hello")
        assert (await talker.hear())["code"] == "SERVICE_UNAVAILABLE"
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{nowhere.port}", timeout=10) as http:
            ready = await http.get("/readyz")
            assert ready.status_code == 503 and not ready.json()["checks"]["broker"]["ok"]
            assert (await http.get("/health")).json()["status"] == "unhealthy"
            asked = await http.post("/api/ask", json={"question": "q?"})
            assert (asked.status_code, asked.json()["code"]) == (503, "SERVICE_UNAVAILABLE")


async def test_a_gateway_waits_for_topics_and_names_the_missing(own_kafka_settings: Settings) -> None:
    settings = replace(own_kafka_settings, topic_prefix="late")
    async with served(settings, connected=False) as server, Talker.at(settings) as talker:
        bus = server.config.app.state.gateway.bus  # type: ignore[union-attr]
        async with asyncio.timeout(10), httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.port}") as http:
            while "late.transcripts.v1" not in (bus.trouble or ""):
                await asyncio.sleep(0.05)
            note = (await http.get("/readyz")).json()["checks"]["topics"]["note"]
            assert "late.answers.v1" in note and "topics create" in note
        await create_topics(settings, partitions=2)
        await _until_acknowledged(talker, "1")
