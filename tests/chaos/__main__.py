"""Kill everything and count what is lost: python -m tests.chaos [--batch N] [--kills N] [--seed N] [--folder F]."""

from __future__ import annotations

import argparse
import asyncio
import logging
import math
import random
import sys
import tempfile
from pathlib import Path

from tests import brokers
from tests.chaos.batch import run_batch, texts_of
from tests.chaos.batch_checker import check_batch
from tests.chaos.checker import check
from tests.chaos.evidence import Evidence
from tests.chaos.report import Report, batch_report, report
from tests.chaos.run import run

KILLS, BATCH_KILLS = 200, 14
SHOWN = 40  # violations that are shown; the evidence has them all


def arguments() -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--kills", type=int, help=f"SIGKILLs; default: {KILLS}, of a batch {BATCH_KILLS}")
    parser.add_argument("--batch", type=int, default=0, help="instead of live clients one batch of so many items")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="the same seed draws the same faults")
    parser.add_argument("--minutes", type=float, default=math.inf, help="no more faults after so long")
    parser.add_argument("--folder", type=Path, help="for logs and evidence; default: one under the temporary folder")
    parser.add_argument("--check", type=Path, help="judge the evidence of an earlier run again")
    return parser.parse_args()


def tell(line: str) -> None:
    """Show where the run is."""
    print(line, file=sys.stderr, flush=True)


async def whole_run(given: argparse.Namespace, folder: Path) -> Report:
    """Start a Kafka, run, judge."""
    broker = brokers.own_kafka(lambda: folder / "kafka")
    if broker is None:
        sys.exit(f"chaos {brokers.MISSING}")
    async with broker:
        if given.batch:
            outcome = await run_batch(given.seed, given.batch, given.kills, broker, folder, tell)
        else:
            outcome = await run(given.seed, given.kills, broker, folder, tell, given.minutes * 60)
    return judged(given, outcome.evidence, outcome.told)


def judged(given: argparse.Namespace, evidence: Evidence, told: dict[str, object]) -> Report:
    """Check, and show what was found."""
    findings = check_batch(evidence, texts_of(given.batch)) if given.batch else check(evidence)
    for note in findings.notes[:SHOWN]:
        tell(note)
    return (batch_report if given.batch else report)(given.seed, given.kills, findings, told)


def main() -> int:
    """One JSON line on stdout; 1 when the run failed."""
    given = arguments()
    given.kills = given.kills or (BATCH_KILLS if given.batch else KILLS)
    logging.disable(logging.ERROR)  # aiokafka on every broker that goes away
    if given.check:
        found = judged(given, Evidence.load(given.check), {})
    else:
        folder = given.folder or Path(tempfile.mkdtemp(prefix=f"realtime-rag-chaos-{given.seed}-"))
        tell(f"seed {given.seed}, {given.kills} kills, evidence in {folder / 'evidence'}")
        found = asyncio.run(whole_run(given, folder.resolve()))
    print(found.line, flush=True)
    return 1 if found.failures else 0


if __name__ == "__main__":
    sys.exit(main())
