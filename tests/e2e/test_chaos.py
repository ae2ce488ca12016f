"""Small seeded chaos runs: everything is killed once or twice, and nothing is lost, told twice or counted twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.broker.process import LocalBroker
from tests.chaos.batch import run_batch, texts_of
from tests.chaos.batch_checker import check_batch
from tests.chaos.checker import check
from tests.chaos.report import batch_report, report
from tests.chaos.run import run
from tests.chaos.schedule import BATCH

pytestmark = pytest.mark.e2e

SEED, KILLS = 13, 8
ITEMS = 200
PACED = 3  # targets whose work takes as long as the provider: answers, any gateway, broker


@pytest.mark.timeout(300)
async def test_nothing_is_lost_and_nothing_is_said_twice(own_kafka: LocalBroker, tmp_path: Path) -> None:
    outcome = await run(SEED, KILLS, own_kafka, tmp_path, print)
    findings = check(outcome.evidence)
    # which kill meets work is a matter of chance in a run this short: half of them must
    said = report(SEED, KILLS // 2, findings, outcome.told)
    assert said.failures == [], "\n".join([*findings.notes, said.line])


@pytest.mark.timeout(300)
async def test_every_item_of_a_batch_has_one_result_whoever_is_killed(own_kafka: LocalBroker, tmp_path: Path) -> None:
    """The gateway that writes its texts, a worker of each stage, any gateway and the broker, once each."""
    outcome = await run_batch(SEED, ITEMS, len(BATCH), own_kafka, tmp_path, print, workers=1)
    findings = check_batch(outcome.evidence, texts_of(ITEMS))
    # so few items are through the other stages in a moment, before a kill that waits for them
    said = batch_report(SEED, PACED, findings, outcome.told)
    assert said.figures["kills"] == len(BATCH)
    assert said.failures == [], "\n".join([*findings.notes, said.line])
