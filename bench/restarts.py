"""How long a session, and the whole group, stand still while a stage's workers are restarted.

Three workers of the sentences stage run as an operator starts them. Questions come at a rate that gives every partition
one in each 40 ms; the time between two outputs of a partition is how long its sessions got nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from bench.cluster import delete_topics, fresh
from bench.load import Arrival, Load, Outcome, loading, watching
from bench.report import Spread
from bench.stages import ROOT
from ops.admin import create_topics
from ops.processes import Process, print_line
from pipeline.errors import RagError
from pipeline.settings import Settings
from topics.catalog import PARTITIONS, SENTENCES, TRANSCRIPTS, topic_names

WORKERS = 3
RATE = 25.0 * PARTITIONS  # questions a second
SESSION_TARGET, GROUP_TARGET = 3.0, 0.5  # seconds of standstill
READY_WITHIN = 60.0  # seconds
CALM = 4.0  # seconds after a restart that still belong to it
OPENED = "opened "  # in the log of a worker, for each partition that it took over


class Standstill(NamedTuple):
    """The longest one of any session and of the whole group, in seconds."""

    session: float
    group: float


def longest_gap(times: Iterable[float], begin: float, end: float) -> float:
    """Longest time in an interval in which nothing came.

    >>> longest_gap([1.0, 2.0, 4.5, 9.0], begin=0.0, end=5.0)
    2.5
    """
    inside = [begin, *(at for at in times if begin < at < end), end]
    return max(later - earlier for earlier, later in pairwise(inside))


async def measure(settings: Settings, folder: Path, rounds: int, *, quick: bool) -> dict[str, Any]:
    """Restart all workers one by one, then kill each once; prints the table and gives the figures.

    Raises:
        RagError: a worker did not start.
    """
    found: dict[str, list[Standstill]] = {"rolling restart": [], "SIGKILL, started again": []}
    settings = fresh(settings, folder)
    async with _all_topics(settings), _speaking(settings) as arrivals, _workers(settings) as workers:
        await _until(lambda: {arrival.partition for arrival in arrivals} == set(range(PARTITIONS)), "all partitions")
        await asyncio.sleep(CALM)
        for number in range(rounds):
            begin = time.perf_counter()
            for worker in workers:
                await _restart(worker)
            found["rolling restart"].append(await _standstill(arrivals, begin))
            for worker in workers[: 1 if quick else WORKERS]:
                begin = time.perf_counter()
                worker.kill()
                await _start(worker)
                found["SIGKILL, started again"].append(await _standstill(arrivals, begin))
            print_line(f"round {number + 1}/{rounds} restarts: {found}")
    return {"restarts": _report(found)}


@asynccontextmanager
async def _all_topics(settings: Settings) -> AsyncIterator[None]:
    await create_topics(settings)
    try:
        yield
    finally:
        await delete_topics(settings, topic_names(settings.topic_prefix))


@asynccontextmanager
async def _speaking(settings: Settings) -> AsyncIterator[Sequence[Arrival]]:
    """Questions at the rate for as long as this lasts; gives what came of them so far, growing."""
    arrivals: list[Arrival] = []
    output = SENTENCES.on(prefix=settings.topic_prefix)
    async with watching(settings, output) as outcome, loading(settings, TRANSCRIPTS) as load:
        tasks = [asyncio.create_task(_speak(load)), asyncio.create_task(_listen(outcome, arrivals))]
        try:
            yield arrivals
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _speak(load: Load) -> None:
    begin, serial = time.perf_counter(), 0
    while True:
        await load.send(serial)
        serial += 1
        await asyncio.sleep(begin + serial / RATE - time.perf_counter())


async def _listen(outcome: Outcome, arrivals: list[Arrival]) -> None:
    while True:
        arrivals += await outcome.arrived()


@asynccontextmanager
async def _workers(settings: Settings) -> AsyncIterator[list[Process]]:
    workers = [_worker(settings, number) for number in range(WORKERS)]
    try:
        await asyncio.gather(*(_start(worker) for worker in workers))
        yield workers
    finally:
        await asyncio.gather(*(worker.stop() for worker in workers))


def _worker(settings: Settings, number: int) -> Process:
    """With a data folder of its own, as on a machine of its own."""
    mine = dataclasses.replace(settings, data_path=settings.data_path / str(number))
    environment = {**os.environ, **mine.environment(), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "ops.cli", "worker", "sentences"]
    return Process(f"worker-{number}", command, environment, log=None)


async def _start(worker: Process) -> None:
    worker.start()
    try:
        await _until(lambda: any(OPENED in line for line in worker.last_lines), f"{worker.name} to work")
    except RagError as exc:
        raise RagError(f"{exc} It said: {' / '.join(list(worker.last_lines)[-5:])}") from exc


async def _restart(worker: Process) -> None:
    worker.signal(signal.SIGTERM)
    async with asyncio.timeout(READY_WITHIN):
        await worker.ended()
    await _start(worker)


async def _until(condition: Any, what: str) -> None:
    try:
        async with asyncio.timeout(READY_WITHIN):
            while not condition():
                await asyncio.sleep(0.05)
    except TimeoutError as exc:
        raise RagError(f"The benchmark of restarts waited {READY_WITHIN:g} s for {what}.") from exc


async def _standstill(arrivals: Sequence[Arrival], begin: float) -> Standstill:
    await asyncio.sleep(CALM)
    end = time.perf_counter()
    mine = [[arrival.at for arrival in arrivals if arrival.partition == number] for number in range(PARTITIONS)]
    sessions = max(longest_gap(times, begin, end) for times in mine)
    return Standstill(round(sessions, 3), round(longest_gap((arrival.at for arrival in arrivals), begin, end), 3))


_ROW = "{:<24} {:>26} {:>26}"


def _report(found: dict[str, list[Standstill]]) -> dict[str, Any]:
    print(f"\nlongest standstill at {RATE:g} records/s with {WORKERS} workers, in seconds; medians [range]")
    print(_ROW.format("", f"of a session (<= {SESSION_TARGET:g})", f"of the group (<= {GROUP_TARGET:g})"))
    for name, each in found.items():
        print(_ROW.format(name, *(Spread.of(values).show() for values in zip(*each, strict=True))))
    print(flush=True)
    return {name: [standstill._asdict() for standstill in each] for name, each in found.items()}
