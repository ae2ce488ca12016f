"""Measures both sides of a layout: records per CPU-second and per second over a backlog, then latency at a rate."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any, NamedTuple

import msgspec

from bench.cluster import fresh, topics_for
from bench.layouts import LAYOUTS
from bench.load import Outcome, loading, watching
from bench.worker import CONFIGURATION
from ops.processes import Process
from pipeline.errors import RagError
from pipeline.settings import Settings
from topics.catalog import DEAD_LETTERS, PARTITIONS

ROOT = Path(__file__).resolve().parents[1]
RATE = 100.0  # records a second when latency is measured
WARM_SHARE = 0.1  # of the backlog: done before the clocks start
LOOK = 0.02  # seconds between two looks at the output
STALL = 60.0  # seconds without an output after which a worker has failed
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Amount:
    """How much is measured: records of a backlog, records at a rate."""

    records: int
    timed: int


class Figures(NamedTuple):
    """One side in one round. Latencies are in milliseconds, from before the send until a reader has the output."""

    records_per_cpu_second: float
    records_per_second: float
    p50: float
    p99: float


class _Sample(NamedTuple):
    done: int
    cpu: float
    at: float


def latency_figures(seconds: list[float]) -> tuple[float, float]:
    """p50 and p99 in milliseconds.

    >>> latency_figures([0.001] * 99 + [0.5])[0]
    1.0
    """
    cuts = quantiles(seconds, n=100, method="inclusive")
    return round(cuts[49] * 1000, 3), round(cuts[98] * 1000, 3)


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process, user and system, at a resolution of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


async def measure(
    side: str, layout: str, settings: Settings, folder: Path, amount: Amount
) -> tuple[Figures, dict[str, Any]]:
    """Run one side once, on topics of its own; its figures and the configuration that it ran with.

    Raises:
        RagError: the worker ended or made no output for a minute.
    """
    settings, steps = fresh(settings, folder), LAYOUTS[layout]
    names = [topic.on(prefix=settings.topic_prefix) for topic in (steps[0].input, *(step.output for step in steps))]
    async with topics_for(settings, [*names, DEAD_LETTERS.on(prefix=settings.topic_prefix)]):
        async with loading(settings, steps[0].input, linger_ms=5) as load:
            await load.fill(amount.records)
        worker = Process(side, [sys.executable, "-m", "bench.worker", side, layout], _environment(settings), log=None)
        worker.start()
        try:
            async with watching(settings, names[-1]) as outcome:
                claims = PARTITIONS if side == "ours" else 0
                rates = await _throughput(worker, outcome, amount.records, claims)
                async with loading(settings, steps[0].input) as load:
                    seconds = await outcome.latencies(load, RATE, amount.timed)
                if extra := sum(await outcome.ends()) - claims - amount.records - load.sent:
                    raise RagError(f"The {side} side of {layout} made {extra} outputs too many.")
        finally:
            await worker.stop()
        configuration = msgspec.json.decode((settings.data_path / CONFIGURATION).read_bytes())
    return Figures(*rates, *latency_figures(seconds)), configuration


def _environment(settings: Settings) -> dict[str, str]:
    return {**os.environ, **settings.environment(), "PYTHONPATH": str(ROOT)}


async def _throughput(worker: Process, outcome: Outcome, records: int, claims: int) -> tuple[float, float]:
    first = last = None
    seen, changed = 0, time.monotonic()
    while last is None:
        await asyncio.sleep(LOOK)
        if (pid := worker.pid) is None or time.monotonic() - changed > STALL:
            raise RagError(f"The {worker.name} side does not go on: {' / '.join(list(worker.last_lines)[-5:])}")
        ends = await outcome.ends()
        sample = _Sample(sum(ends) - claims, cpu_seconds(pid), time.perf_counter())
        if sample.done != seen:
            seen, changed = sample.done, time.monotonic()
        if first is None and seen >= records * WARM_SHARE and min(ends) >= claims / PARTITIONS:
            first = sample  # every partition is taken over: that is paid once and not by the record
        if seen >= records:
            last = sample
    assert first is not None
    done, cpu = last.done - first.done, last.cpu - first.cpu
    if done < records / 10 or cpu <= 0:
        raise RagError(f"{records} records are too few to be measured: raise --records.")
    return done / cpu, done / (last.at - first.at)


async def floor(settings: Settings, folder: Path, timed: int) -> tuple[float, float]:
    """p50 and p99 of the way through the broker alone: what any side cannot go below, in milliseconds."""
    settings = fresh(settings, folder)
    topic = LAYOUTS["sentences"][0].input
    name = topic.on(prefix=settings.topic_prefix)
    async with topics_for(settings, [name]), watching(settings, name) as outcome, loading(settings, topic) as load:
        await load.fill(PARTITIONS)  # fresh partitions are without a leader for a moment
        return latency_figures(await outcome.latencies(load, RATE, timed))
