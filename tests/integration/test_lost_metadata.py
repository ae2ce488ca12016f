"""A broker that is just back may not know its topics yet; a group whose leader asked then is given no partition."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import UnknownTopicOrPartitionError
from faust.contrib.asgi import bind_to_running_loop

from agents.apps import make_stage
from pipeline.settings import Settings
from tests.workers import stored_until, until, write
from topics.catalog import SENTENCES, TRANSCRIPTS
from topics.messages import AsrChunk

pytestmark = pytest.mark.integration


@asynccontextmanager
async def stage(settings: Settings, name: str) -> AsyncIterator[Any]:
    """A stage in this process."""
    app = make_stage(name, settings)
    app.stage.exit_after = None
    bind_to_running_loop(app)
    app.finalize()
    await app.start()
    try:
        yield app
    finally:
        await app.stop()


async def forget_topics(app: Any) -> None:
    """Let the consumer take an answer to its metadata request that knows the broker and not the topic."""
    thread = app.consumer._thread
    consumer = thread._ensure_consumer()
    (broker,) = consumer._client.cluster.brokers()
    answer = SimpleNamespace(
        API_VERSION=1,
        brokers=[(broker.nodeId, broker.host, broker.port, None)],
        controller_id=broker.nodeId,
        topics=[(UnknownTopicOrPartitionError.errno, name, False, ()) for name in consumer.subscription()],
    )

    async def take() -> None:
        consumer._client.cluster.update_metadata(answer)

    await thread.inside(take())


async def test_a_group_that_was_given_nothing_gets_its_partitions_within_seconds(kafka_settings: Settings) -> None:
    async with stage(kafka_settings, "sentences") as app:
        await until(lambda: app.consumer.assignments and all(a.ready for a in app.consumer.assignments.values()))
        await forget_topics(app)
        await until(lambda: not app.consumer._thread.grant.since)
        await write(kafka_settings, TRANSCRIPTS, "call", [AsrChunk(text="It is back.")])
        (found,) = await stored_until(kafka_settings, SENTENCES, 1, seconds=30)
        assert found.record.text == "It is back."
