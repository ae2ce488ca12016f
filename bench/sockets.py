"""Socket to socket: from a final chunk that asks something to the first piece of its answer, through everything.

Gateway, three stages in one process and a provider that answers at once run as `make run` runs them, on a real Kafka.
Each connection is a session; it asks one question a period, so the load does not depend on how fast answers come.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from bench.cluster import delete_topics, fresh
from bench.report import Spread
from bench.stages import ROOT, cpu_seconds, latency_figures
from ops.ports import free_port
from ops.processes import Process, print_line
from ops.up import Running, up
from pipeline.errors import RagError
from pipeline.settings import Settings
from topics.catalog import topic_names

ANSWER_DEADLINE = 30.0  # seconds
DURATION, QUICK_DURATION = 15.0, 3.0  # seconds that a crowd asks


class Crowd(NamedTuple):
    """So many connections, each asking once in `period` seconds."""

    connections: int
    period: float


class Figures(NamedTuple):
    """One crowd in one round, in milliseconds: from chunk to piece, and the CPU time that a question took."""

    p50: float
    p99: float
    gateway_cpu: float
    stages_cpu: float


CROWDS = (Crowd(1, 0.25), Crowd(20, 1.0), Crowd(100, 2.0))


async def measure(settings: Settings, folder: Path, rounds: int, *, quick: bool) -> dict[str, Any]:
    """Ask in crowds, each once a round; prints the table and gives the figures.

    Raises:
        RagError: the service did not start, or left a question without an answer.
    """
    duration = QUICK_DURATION if quick else DURATION
    found: dict[Crowd, list[Figures]] = {crowd: [] for crowd in CROWDS}
    async with service(fresh(settings, folder)) as running:
        await ask_as(Crowd(20, 0.5), running.ws_url, duration / 2)  # not counted
        for number in range(rounds):
            for crowd in CROWDS:
                found[crowd].append(await _measure(crowd, running, duration))
                print_line(f"round {number + 1}/{rounds} {crowd.connections} connections: {found[crowd][-1]}")
    return {"sockets": _report(found)}


async def _measure(crowd: Crowd, running: Running, duration: float) -> Figures:
    def spent() -> list[float]:
        return [cpu_seconds(process.pid) if process.pid else 0.0 for process in (running.gateway, running.stages)]

    before = spent()
    seconds = await ask_as(crowd, running.ws_url, duration)
    gateway, stages = ((now - then) / len(seconds) * 1000 for now, then in zip(spent(), before, strict=True))
    return Figures(*latency_figures(seconds), round(gateway, 2), round(stages, 2))


@asynccontextmanager
async def instant_provider(settings: Settings) -> AsyncIterator[Settings]:
    """Settings with a provider that answers at once, while it runs."""
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    provider = Process("instant", [sys.executable, "-m", "bench.instant", str(port)], environment)
    provider.start()
    try:
        await _until_answering(port)
        yield dataclasses.replace(
            settings,
            rag_provider="openai",
            openai_api_key="none",
            openai_base_url=f"http://127.0.0.1:{port}/v1",
            log_level="WARNING",
        )
    finally:
        await provider.stop()


@asynccontextmanager
async def service(settings: Settings, *, bulk: bool = False) -> AsyncIterator[Running]:
    """Everything as `make run` starts it, with or without the bulk lane, and a provider that answers at once."""
    try:
        async with (
            instant_provider(dataclasses.replace(settings, batch_enabled=bulk)) as known,
            up(known, free_ports=True, log=None) as running,
        ):
            yield running
    finally:
        await delete_topics(settings, topic_names(settings.topic_prefix))


async def _until_answering(port: int) -> None:
    async with asyncio.timeout(20), httpx.AsyncClient(trust_env=False) as client:
        while True:
            try:
                await client.get(f"http://127.0.0.1:{port}/v1/models")
                return
            except httpx.TransportError:
                await asyncio.sleep(0.05)


async def ask_as(crowd: Crowd, url: str, duration: float) -> list[float]:
    """Seconds from each question to the first piece of its answer; connections take their turns evenly."""
    begin = time.perf_counter() + 0.5 + crowd.connections * 0.01
    try:
        async with asyncio.TaskGroup() as group:
            asking = [
                group.create_task(_ask(url, begin + crowd.period * number / crowd.connections, crowd.period, duration))
                for number in range(crowd.connections)
            ]
    except ExceptionGroup as failed:
        raise RagError(f"A question got no answer: {failed.exceptions[0]!r}") from failed
    return [seconds for task in asking for seconds in task.result()]


async def _ask(url: str, begin: float, period: float, duration: float) -> list[float]:
    taken: list[float] = []
    async with connect(f"{url}?lang=en", proxy=None, compression=None) as socket:
        for number in range(round(duration / period)):
            await asyncio.sleep(begin + number * period - time.perf_counter())
            async with asyncio.timeout(ANSWER_DEADLINE):
                taken.append(await _ask_once(socket, number))
    return taken


async def _ask_once(socket: ClientConnection, number: int) -> float:
    text = f"What was decided about the budget of project {number}?"
    chunk = orjson.dumps({"type": "asr_chunk", "text": text, "is_final": True}).decode()
    sent, first = time.perf_counter(), 0.0
    await socket.send(chunk)
    async for frame in socket:
        match orjson.loads(frame):
            case {"type": "answer"} if not first:
                first = time.perf_counter()
            case {"type": "status", "stage": "idle"} if first:
                return first - sent
            case {"type": "status", "stage": "idle" | "waiting_for_question" as stage}:
                raise RagError(f"{text!r} ended as {stage}")
            case {"type": "error"} as error:
                raise RagError(f"{text!r} led to {error}")
    raise WebSocketException("the gateway closed the connection")


_ROW = "{:>11} {:>11} {:>26} {:>26} {:>24} {:>24}"


def _report(found: dict[Crowd, list[Figures]]) -> list[dict[str, Any]]:
    print("\nfinal chunk → first answer piece, through gateway, stages and a provider that answers at once; ms")
    print(_ROW.format("connections", "questions/s", "p50", "p99", "gateway CPU/question", "stages CPU/question"))
    data: list[dict[str, Any]] = []
    for crowd, figures in found.items():
        rate = crowd.connections / crowd.period
        spreads = {name: Spread.of([getattr(each, name) for each in figures]) for name in Figures._fields}
        print(_ROW.format(crowd.connections, f"{rate:g}", *(spread.show(1) for spread in spreads.values())))
        data.append(
            {"connections": crowd.connections, "rate": rate}
            | {name: spread._asdict() for name, spread in spreads.items()}
        )
    print(flush=True)
    return data
