"""What Prometheus reads of real stages and a real gateway, after known traffic."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ops.fakes import Reply
from ops.ports import free_port
from pipeline.settings import Settings
from tests.providers import scripted_provider
from tests.talker import Talker, served
from tests.workers import running, told_until, working, write
from topics.catalog import SENTENCES, TRANSCRIPTS
from topics.messages import AsrChunk

pytestmark = pytest.mark.integration

Figures = dict[tuple[str, ...], float]


async def read(port: int, **headers: str) -> Figures:
    """Name and label values, by the labels' names, of every sample of ours on a metrics page, to its value."""
    async with httpx.AsyncClient() as http:
        page = await http.get(f"http://127.0.0.1:{port}/metrics", headers=headers)
    page.raise_for_status()
    samples = [sample for family in text_string_to_metric_families(page.text) for sample in family.samples]
    return {
        (sample.name, *sample.labels.values()): sample.value for sample in samples if sample.name.startswith("rag_")
    }


async def read_until(port: int, condition: Callable[[Figures], bool], seconds: float = 20.0) -> Figures:
    """The figures as soon as a condition over them holds."""
    figures: Figures = {}
    try:
        async with asyncio.timeout(seconds):
            while not condition(figures := await read(port)):
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"the figures are still {figures}") from None
    return figures


async def test_stages_count_records_questions_letters_and_takeovers(kafka_settings: Settings) -> None:
    settings = dataclasses.replace(kafka_settings, stage_port=free_port())
    async with (
        scripted_provider() as provider,
        working(settings, "sentences", "questions", "answers", environ=provider.environ),
    ):
        provider.script("refund", Reply(status=503), Reply(text="Five days."))
        provider.script("weather", Reply(status=401))
        await write(settings, TRANSCRIPTS, "call", [AsrChunk(text=text, id=text) for text in ["Hello.", "Hello."]])
        await write(settings, TRANSCRIPTS, "call", [AsrChunk(text="How long does a refund take?"), b"\xff"])
        await write(settings, TRANSCRIPTS, "call", [AsrChunk(text="How is the weather?")])
        await write(settings, SENTENCES, "call", [b"not by its stage"])
        await told_until(settings, "call", "SERVER_ERROR", "RAG_ERROR", "idle")
        figures = await read_until(
            settings.stage_port, lambda found: all(found.get(lag) == 0 for lag in lags()) and ended(found) == 2
        )
        async with httpx.AsyncClient() as http:
            alive = await http.get(f"http://127.0.0.1:{settings.stage_port}/livez")
    assert alive.json() == {"status": "alive"}
    assert records(figures, "sentences") == {"done": 3, "failed": 1, "duplicate": 1, "void": 0}
    assert records(figures, "questions")["failed"] == 1
    assert figures["rag_dead_letters_total", "sentences"] == figures["rag_dead_letters_total", "questions"] == 1
    assert figures["rag_questions_total", "ok"] == figures["rag_questions_total", "error"] == 1
    assert figures["rag_provider_retries_total",] >= 1
    assert figures["rag_first_piece_seconds_count",] == 1
    assert figures["rag_takeovers_total", "answers"] == figures["rag_takeover_seconds_count", "answers"] == 4
    assert figures["rag_handler_seconds_count", "answers"] == 2
    assert figures["rag_batch_seconds_count", "sentences"] >= 1
    assert figures["rag_sentence_wait_seconds_count", "mark"] == 3


def lags() -> list[tuple[str, ...]]:
    """The names of the lag of every partition."""
    stages = ("sentences", "questions", "answers")
    return [("rag_consumer_lag", str(partition), stage) for stage in stages for partition in range(4)]


def records(figures: Figures, stage: str) -> dict[str, float]:
    """A stage's records by outcome."""
    return {name[1]: count for name, count in figures.items() if name[0] == "rag_records_total" and name[2] == stage}


def ended(figures: Figures) -> float:
    """How many questions have ended."""
    return sum(count for name, count in figures.items() if name[0] == "rag_questions_total")


async def test_a_stage_whose_port_is_taken_says_so(kafka_settings: Settings) -> None:
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = dataclasses.replace(kafka_settings, stage_port=port)
        async with running(settings, "worker", "questions") as worker:
            code = await asyncio.to_thread(worker.process.wait, 30)
    assert code == 2
    assert worker.log.read_text().splitlines()[-1].startswith(f"realtime-rag: STAGE_PORT={port} on HOST=127.0.0.1")


async def test_a_gateway_counts_clients_messages_and_refusals(kafka_settings: Settings) -> None:
    async with served(kafka_settings):
        before = await read(kafka_settings.port)
        async with Talker.at(kafka_settings) as talker:
            await talker.chunk("hello")
            await talker.socket.send("{")
            await talker.hear_all(2)
            during = await read_until(
                kafka_settings.port, lambda found: grown(before, found, "rag_ws_messages_total", "out") == 4
            )
        after = await read_until(kafka_settings.port, lambda found: found["rag_ws_connections",] == 0)
    assert during["rag_ws_connections",] == 1
    assert grown(before, during, "rag_ws_messages_total", "in") == 2
    assert grown(before, after, "rag_ws_refused_total", "INVALID_JSON") == 1


def grown(before: Figures, after: Figures, *name: str) -> float:
    """By how much a figure has grown; other tests of this process have counted too."""
    return after.get(name, 0) - before.get(name, 0)


async def test_the_gateways_figures_want_a_key_where_there_are_keys(kafka_settings: Settings) -> None:
    settings = dataclasses.replace(kafka_settings, api_keys="one,two")
    async with served(settings, connected=False):
        with pytest.raises(httpx.HTTPStatusError, match="401"):
            await read(settings.port)
        assert ("rag_ws_connections",) in await read(settings.port, authorization="Bearer two")
