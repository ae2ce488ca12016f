"""Takeovers on the embedded broker, which keeps no commit metadata: the epoch is found from the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipeline.settings import Settings
from tests.brokers import Broker, with_topics
from tests.workers import Tail, stored_until, working, write
from topics.catalog import SENTENCES, TRANSCRIPTS
from topics.messages import AsrChunk

pytestmark = pytest.mark.e2e


@pytest.fixture
async def embedded(tansu: Broker, tmp_path: Path) -> AsyncIterator[Settings]:
    async with with_topics(tansu, tmp_path) as settings:
        yield settings


async def test_a_killed_worker_is_followed_by_one_of_a_higher_epoch_that_says_nothing_twice(embedded: Settings) -> None:
    expected = []
    for text in ("It was a gift.", "The end."):
        expected.append(text)
        async with working(embedded, "sentences") as worker:
            await write(embedded, TRANSCRIPTS, "call", [AsrChunk(text=said, id=said) for said in expected])
            found = await stored_until(embedded, SENTENCES, len(expected))
            worker.kill()
        assert [item.record.text for item in found] == expected
    assert [item.stamp.epoch for item in found] == [1, 2]
    assert await claimed(embedded, found[0].partition) == [1, 1, 2]


async def claimed(settings: Settings, partition: int) -> list[int]:
    """The epochs of all claims in a partition: without metadata the first try of each start is 1."""
    async with Tail.of(settings, SENTENCES) as tail:
        await tail.until(lambda found: len(found) == 2)
        mine = [dict(raw.headers) for raw in tail.raw if raw.partition == partition]
    return [int(headers["rag-epoch"]) for headers in mine if "rag-source" not in headers]
