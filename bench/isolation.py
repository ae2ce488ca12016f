"""What a full bulk lane costs a live client: the time to the first piece without bulk work, and with a backlog of it.

The backlog is a task. Rounds alternate between a task that is held and one that runs, so that a machine that does other
things meanwhile spoils both alike; the lane is busy at BATCH_MAX_CONCURRENT while it runs, as its provider takes a
quarter of a second for an item.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from bench.cluster import fresh
from bench.instant import SLOWLY
from bench.report import Spread
from bench.sockets import Crowd, ask_as, service
from bench.stages import cpu_seconds, latency_figures
from ops.processes import print_line
from ops.up import Running
from pipeline.errors import RagError
from pipeline.settings import Settings

ITEMS, QUICK_ITEMS = 100_000, 2_000
CROWD = Crowd(20, 1.0)
DURATION, QUICK_DURATION = 15.0, 3.0  # seconds
CALM_CPU = 0.35  # cores: below it the bulk lane waits for its provider and reads no backlog any more
WITHIN = 300.0  # seconds
TARGET = 1.3  # times the lane at rest
PIECE = 500  # lines in one write of the upload
LOOK = 0.5  # seconds


class Figures(NamedTuple):
    """One interval: milliseconds to the first piece; cores that the bulk lane's process took, and items a second."""

    p50: float
    p99: float
    bulk_cores: float
    bulk_items: float


class Backlog:
    """A task of many slow items, as its client has it."""

    def __init__(self, http: httpx.AsyncClient, task: str) -> None:
        self._http, self._url = http, f"/api/batch/tasks/{task}"

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, running: Running, items: int) -> AsyncIterator[Backlog]:
        """Upload so many."""

        async def lines() -> AsyncIterator[bytes]:
            for begin in range(0, items, PIECE):
                some = range(begin, min(begin + PIECE, items))
                yield "".join(f"What is known of item {number}? {SLOWLY}\n" for number in some).encode()

        async with httpx.AsyncClient(trust_env=False, base_url=running.url, timeout=WITHIN) as http:
            answer = await http.post("/api/batch/uploads", content=lines())
            if not answer.is_success:
                raise RagError(f"The backlog could not be uploaded: {answer.text}")
            yield cls(http, answer.json()["task_id"])

    async def done(self) -> int:
        """How many items have their result."""
        return int((await self._http.get(self._url)).raise_for_status().json()["progress"]["completed"])

    async def run(self, *, on: bool) -> None:
        """Hold the task, or let it go on; returns when that is to be seen."""
        (await self._http.post(f"{self._url}/{'resume' if on else 'pause'}")).raise_for_status()
        async with asyncio.timeout(WITHIN):
            before = await self.done()
            while True:
                await asyncio.sleep(2 * LOOK)
                if ((now := await self.done()) > before) is on:
                    return
                before = now


async def measure(settings: Settings, folder: Path, rounds: int, *, quick: bool) -> dict[str, Any]:
    """So many intervals without a backlog, then as many with it held and running; prints the table, gives the figures.

    Raises:
        RagError: the service did not start, a question got no answer, or the lane never came to wait for its provider.
    """
    duration, items = (QUICK_DURATION, QUICK_ITEMS) if quick else (DURATION, ITEMS)
    found: dict[str, list[Figures]] = {"empty": [], "held": [], "busy": []}
    async with service(fresh(settings, folder), bulk=True) as running:
        await ask_as(Crowd(20, 0.5), running.ws_url, duration / 2)  # not counted
        for _ in range(rounds):
            found["empty"].append(await _interval(running, duration))
        async with Backlog.of(running, items) as backlog:
            await _until_calm(running)
            for number in range(rounds):
                for kind in ("held", "busy") if number % 2 == 0 else ("busy", "held"):
                    await backlog.run(on=kind == "busy")
                    found[kind].append(await _interval(running, duration, backlog))
                    print_line(f"round {number + 1}/{rounds} {kind}: {found[kind][-1]}")
    return {"isolation": _report(found, items)}


async def _until_calm(running: Running) -> None:
    """The lane's first stages read the whole backlog at once; what is measured is the time after that."""
    end = time.monotonic() + WITHIN
    while time.monotonic() < end:
        began, before = time.monotonic(), _bulk_cpu(running)
        await asyncio.sleep(3.0)
        if (_bulk_cpu(running) - before) / (time.monotonic() - began) < CALM_CPU:
            return
    raise RagError(f"The bulk lane did not come to rest within {WITHIN:g} s.")


async def _interval(running: Running, duration: float, backlog: Backlog | None = None) -> Figures:
    done = await backlog.done() if backlog else 0
    began, before = time.monotonic(), _bulk_cpu(running)
    p50, p99 = latency_figures(await ask_as(CROWD, running.ws_url, duration))
    seconds, cpu = time.monotonic() - began, _bulk_cpu(running) - before
    items = (await backlog.done() if backlog else 0) - done
    return Figures(p50, p99, round(cpu / seconds, 2), round(items / seconds, 1))


def _bulk_cpu(running: Running) -> float:
    return cpu_seconds(running.bulk.pid) if running.bulk and running.bulk.pid else 0.0


_ROW = "{:<6} {:>26} {:>28} {:>22} {:>22}"


def _report(found: dict[str, list[Figures]], items: int) -> dict[str, Any]:
    print(f"\nfinal chunk → first answer piece, {CROWD.connections} connections; ms, medians; backlog: {items} items")
    print(_ROW.format("", "p50", "p99", "cores of the bulk lane", "its items a second"))
    for kind, figures in found.items():
        spreads = [Spread.of(values) for values in zip(*figures, strict=True)]
        print(_ROW.format(kind, *(spread.show() for spread in spreads)))
    ratios = {}
    for measure in ("p50", "p99"):
        pairs = zip(found["busy"], found["held"], strict=True)
        ratios[measure] = Spread.of([round(getattr(busy, measure) / getattr(held, measure), 2) for busy, held in pairs])
    shown = ", ".join(f"{measure} {ratio.show()}" for measure, ratio in ratios.items())
    print(f"busy / held, round by round: {shown}; asked for is at most {TARGET}\n", flush=True)
    rows = {kind: [each._asdict() for each in figures] for kind, figures in found.items()}
    return rows | {"items": items, "ratios": {measure: ratio._asdict() for measure, ratio in ratios.items()}}
