"""What a full bulk lane costs a live client: the time to the first piece, idle and with a backlog of bulk items.

The bulk lane is busy at BATCH_MAX_CONCURRENT all the while: its provider takes a quarter of a second for an item.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from bench.cluster import fresh
from bench.instant import SLOWLY
from bench.report import Spread
from bench.sockets import Crowd, ask_as, service
from bench.stages import cpu_seconds, latency_figures
from ops.processes import print_line
from ops.up import Running
from pipeline.errors import RagError
from pipeline.settings import Settings
from topics.catalog import TRANSCRIPTS, Lane
from topics.codec import encode
from topics.messages import Ask

ITEMS, QUICK_ITEMS = 100_000, 2_000
CROWD = Crowd(20, 1.0)
DURATION, QUICK_DURATION = 15.0, 3.0  # seconds
CALM_CPU = 0.35  # cores: below it the bulk lane waits for its provider and reads no backlog any more
CALM_WITHIN = 300.0  # seconds
TARGET = 1.3  # times idle
SLICE = 5_000  # items on their way at once


class Figures(NamedTuple):
    """One interval: milliseconds to the first piece, and cores that the bulk lane's process took."""

    p50: float
    p99: float
    bulk_cores: float


async def measure(settings: Settings, folder: Path, rounds: int, *, quick: bool) -> dict[str, Any]:
    """So many intervals idle, then as many with the backlog; prints the table and gives the figures.

    Raises:
        RagError: the service did not start, a question got no answer, or the lane never came to wait for its provider.
    """
    duration, items = (QUICK_DURATION, QUICK_ITEMS) if quick else (DURATION, ITEMS)
    found: dict[str, list[Figures]] = {"idle": [], "busy": []}
    settings = fresh(settings, folder)
    async with service(settings, bulk=True) as running:
        await ask_as(Crowd(20, 0.5), running.ws_url, duration / 2)  # not counted
        for kind, figures in found.items():
            if kind == "busy":
                await _fill(running.settings, items)
                await _until_calm(running)
            for number in range(rounds):
                figures.append(await _interval(running, duration))
                print_line(f"round {number + 1}/{rounds} {kind}: {figures[-1]}")
    return {"isolation": _report(found, items)}


async def _fill(settings: Settings, items: int) -> None:
    """Items of one run that wait."""
    topic = TRANSCRIPTS.on(Lane.BULK, settings.topic_prefix)
    async with AIOKafkaProducer(**settings.kafka_client(), acks="all", linger_ms=5) as producer:
        for begin in range(0, items, SLICE):
            texts = [f"What is known of item {number}? {SLOWLY}" for number in range(begin, min(begin + SLICE, items))]
            sent = [await producer.send(topic, encode(Ask(text=text)), text.encode()) for text in texts]
            await asyncio.gather(*sent)


async def _until_calm(running: Running) -> None:
    """The lane's first stages read the whole backlog at once; what is measured is the time after that."""
    end = time.monotonic() + CALM_WITHIN
    while time.monotonic() < end:
        began, before = time.monotonic(), _bulk_cpu(running)
        await asyncio.sleep(3.0)
        if (_bulk_cpu(running) - before) / (time.monotonic() - began) < CALM_CPU:
            return
    raise RagError(f"The bulk lane did not come to rest within {CALM_WITHIN:g} s.")


async def _interval(running: Running, duration: float) -> Figures:
    began, before = time.monotonic(), _bulk_cpu(running)
    p50, p99 = latency_figures(await ask_as(CROWD, running.ws_url, duration))
    return Figures(p50, p99, round((_bulk_cpu(running) - before) / (time.monotonic() - began), 2))


def _bulk_cpu(running: Running) -> float:
    return cpu_seconds(running.bulk.pid) if running.bulk and running.bulk.pid else 0.0


_ROW = "{:<6} {:>26} {:>26} {:>22}"


def _report(found: dict[str, list[Figures]], items: int) -> dict[str, Any]:
    print(
        f"\nfinal chunk → first answer piece, {CROWD.connections} connections, {items} bulk items waiting; ms, medians"
    )
    print(_ROW.format("", "p50", "p99", "cores of the bulk lane"))
    spreads = {kind: [Spread.of(values) for values in zip(*figures, strict=True)] for kind, figures in found.items()}
    for kind, row in spreads.items():
        print(_ROW.format(kind, *(spread.show() for spread in row)))
    ratios = [round(busy.mid / idle.mid, 2) for idle, busy in zip(spreads["idle"], spreads["busy"], strict=True)][:2]
    print(f"busy / idle: p50 {ratios[0]}, p99 {ratios[1]}; asked for is at most {TARGET}\n", flush=True)
    rows = {kind: [each._asdict() for each in figures] for kind, figures in found.items()}
    return rows | {"items": items, "ratios": {"p50": ratios[0], "p99": ratios[1]}}
