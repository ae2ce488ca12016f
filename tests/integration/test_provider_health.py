"""A provider that fails again and again is seen on the worker's page and in the gateway's `/health`."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from aiohttp import web

from gateway.providers import pages_of, provider_states
from ops.fakes import Reply
from ops.ports import free_port
from pipeline.settings import Settings
from tests.providers import scripted_provider
from tests.workers import told_until, working, write
from topics.catalog import TRANSCRIPTS
from topics.messages import AsrChunk

pytestmark = pytest.mark.integration


async def test_an_open_breaker_and_a_spent_budget_are_seen_and_said(kafka_settings: Settings) -> None:
    settings = dataclasses.replace(
        kafka_settings,
        stage_port=free_port(),
        provider_breaker_failures=1,
        provider_cost_per_hour=0.00002,
        provider_prices="openai=1/2,custom=1/2",
    )
    async with scripted_provider() as provider:
        chain = {**provider.environ, "RAG_PROVIDER": "openai,custom", "CUSTOM_RAG_TIMEOUT": "5"}
        chain["CUSTOM_RAG_API_URL"] = provider.environ["OPENAI_BASE_URL"] + "/custom"
        provider.script("How", Reply(status=500), Reply("Five days."))
        async with working(settings, "sentences", "questions", "answers", environ=chain):
            await write(settings, TRANSCRIPTS, "call", [AsrChunk(text="How long does it take?")])
            told = await told_until(settings, "call", "idle")
            await write(settings, TRANSCRIPTS, "later", [AsrChunk(text="How much does it cost?")])
            refused = await told_until(settings, "later", "RAG_ERROR")
            states = await provider_states(pages_of(settings))
            async with httpx.AsyncClient() as http:
                page = (await http.get(f"http://127.0.0.1:{settings.stage_port}/metrics")).text
    assert told.text == "Five days."
    assert told.answers[-1]["provider"] == "custom"
    assert (told.answers[-1]["usage"]["total_tokens"], told.answers[-1]["usage"]["price"]) == (16, 0.000022)
    assert "custom has used its money of this hour (1.6e-05" in str(refused.messages)
    assert states == {"openai": "open", "custom": "spent"}
    assert 'rag_provider_state{provider="openai",state="open"} 1.0' in page
    assert 'rag_provider_cost{provider="custom"} 2.2e-05' in page
    assert 'rag_provider_answers_total{outcome="ok",provider="custom"} 1.0' in page


async def test_every_worker_behind_one_name_is_asked_and_the_worst_state_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port, resolve = free_port(), socket.getaddrinfo
    behind = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{last}", port)) for last in (1, 2)]
    named = {"answers": behind}
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest: named.get(host) or resolve(host, *rest))
    async with page("127.0.0.1", port, "closed"), page("127.0.0.2", port, "open"):
        assert await provider_states([f"http://answers:{port}"]) == {"dify": "open"}


@asynccontextmanager
async def page(host: str, port: int, state: str) -> AsyncIterator[None]:
    """The page of a worker at an address of the loopback."""

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"status": "healthy", "providers": {"dify": state}})

    site = web.Application()
    site.add_routes([web.get("/health", health)])
    runner = web.AppRunner(site)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def test_a_page_that_does_not_answer_says_nothing() -> None:
    assert await provider_states([f"http://127.0.0.1:{free_port()}"]) == {}
