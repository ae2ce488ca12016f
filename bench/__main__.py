"""Figures of the pipeline on a real Apache Kafka; `docs/benchmarks.md` says how to read them.

Run: python -m bench [--quick] [--only PART] [--rounds N] [--records N] [--items N] [--lines N]
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import uvloop

from bench import bulk, isolation, report, restarts, sockets, stages
from bench.cluster import real_kafka
from bench.layouts import CHAIN, LAYOUTS
from bench.stages import Amount, Figures
from bench.worker import SIDES
from ops.processes import OPERATOR_ERROR, print_line
from pipeline.errors import RagError
from pipeline.settings import Settings

PARTS = ("stages", "chain", "sockets", "restarts", "isolation", "bulk")


def arguments() -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=PARTS, help="one part instead of all")
    parser.add_argument("--quick", action="store_true", help="one round of little: shows that it works, no figures")
    parser.add_argument("--rounds", type=int, help="times that everything is measured; default 5, quick 1")
    parser.add_argument("--records", type=int, help="records of a backlog; default 200000, quick 30000")
    parser.add_argument("--items", type=int, help="bulk items through all stages; default 20000, quick 500")
    parser.add_argument("--lines", type=int, help="lines of an upload, and their results; default 1000000, quick 5000")
    given = parser.parse_args()
    given.rounds = given.rounds or (1 if given.quick else 5)
    given.records = given.records or (30_000 if given.quick else 200_000)
    usual = bulk.QUICK if given.quick else bulk.FULL
    given.items, given.lines = given.items or usual.items, given.lines or usual.lines
    if given.rounds < 1 or given.records < 5000 or min(given.items, given.lines) < 1:
        parser.error("at least 1 round, 5000 records, 1 item and 1 line")
    return given


async def main(given: argparse.Namespace) -> None:
    """Measure and print.

    Raises:
        RagError: no Kafka, or a side that did not do its work.
    """
    parts = [given.only] if given.only else list(PARTS)
    layouts = [name for name in LAYOUTS if ("chain" if name == CHAIN else "stages") in parts]
    with tempfile.TemporaryDirectory(prefix="realtime-rag-bench-") as folder:
        async with real_kafka(Settings.from_env(os.environ)) as (settings, broker):
            found: dict[str, Any] = {"machine": report.machine(), "broker": broker, "rounds": given.rounds}
            print(" · ".join(str(value) for value in [*found["machine"].values(), broker]), flush=True)
            if layouts:
                found |= await compare(layouts, settings, Path(folder), given)
            if "sockets" in parts:
                found |= await sockets.measure(settings, Path(folder), given.rounds, quick=given.quick)
            if "restarts" in parts:
                found |= await restarts.measure(settings, Path(folder), given.rounds, quick=given.quick)
            if "isolation" in parts:
                found |= await isolation.measure(settings, Path(folder), given.rounds, quick=given.quick)
            if "bulk" in parts:
                found |= await bulk.measure(settings, Path(folder), bulk.Amount(given.items, given.lines))
    print(json.dumps(found))


async def compare(layouts: list[str], settings: Settings, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Both sides of each layout in each round; who comes first changes from round to round."""
    amount = Amount(given.records, timed=300 if given.quick else 1000)
    rounds: dict[str, dict[str, list[Figures]]] = {layout: {side: [] for side in SIDES} for layout in layouts}
    configurations: dict[str, Any] = {}
    floors: list[tuple[float, float]] = []
    await _warm(layouts, settings, folder)
    for number in range(given.rounds):
        floors.append(await stages.floor(settings, folder, amount.timed))
        for layout in layouts:
            for side in SIDES if number % 2 == 0 else reversed(SIDES):
                figures, configurations[side] = await stages.measure(side, layout, settings, folder, amount)
                rounds[layout][side].append(figures)
                print_line(f"round {number + 1}/{given.rounds} {layout} {side}: {_shown(figures)}")
    print(f"\n{amount.records} records of a backlog, then {amount.timed} records at {stages.RATE:g}/s; medians [range]")
    for line in (*report.configuration_lines(configurations["bare"], configurations["ours"]), ""):
        print(line)
    for line in report.stage_table(rounds):
        print(line)
    p50, p99 = (report.Spread.of(values) for values in zip(*floors, strict=True))
    print(f"through the broker alone, no stage: p50 {p50.show()} ms, p99 {p99.show()} ms\n", flush=True)
    return {
        "records": amount.records,
        "timed": amount.timed,
        "configurations": configurations,
        "stages": report.stage_data(rounds),
        "broker_alone": {"p50": p50._asdict(), "p99": p99._asdict()},
    }


async def _warm(layouts: list[str], settings: Settings, folder: Path) -> None:
    """Not counted: a broker that has just started is slow until its JVM has compiled what it does."""
    for side in SIDES:
        await stages.measure(side, layouts[-1], settings, folder, Amount(20_000, timed=100))


def _shown(figures: Figures) -> str:
    return ", ".join(f"{name} {value:,.1f}" for name, value in figures._asdict().items())


if __name__ == "__main__":
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it reports each retry on a topic that is just made
    try:
        uvloop.run(main(arguments()))
    except RagError as exc:
        print_line(f"bench: {exc}")
        sys.exit(OPERATOR_ERROR)
