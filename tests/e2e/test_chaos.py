"""A small seeded chaos run: everything is killed once or twice, and no client misses or hears anything twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.broker.process import LocalBroker
from tests.chaos.checker import check
from tests.chaos.report import report
from tests.chaos.run import run

pytestmark = pytest.mark.e2e

SEED, KILLS = 13, 8


@pytest.mark.timeout(300)
async def test_nothing_is_lost_and_nothing_is_said_twice(own_kafka: LocalBroker, tmp_path: Path) -> None:
    outcome = await run(SEED, KILLS, own_kafka, tmp_path, print)
    findings = check(outcome.evidence)
    # which kill meets work is a matter of chance in a run this short: half of them must
    said = report(SEED, KILLS // 2, findings, outcome.told)
    assert said.failures == [], "\n".join([*findings.notes, said.line])
