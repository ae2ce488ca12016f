"""The questions stage on a real Kafka: what its successor knows of what was said."""

from __future__ import annotations

import pytest

from pipeline.settings import Settings
from tests.workers import stored_until, working, write
from topics.catalog import QUESTIONS, TRANSCRIPTS
from topics.messages import AsrChunk

pytestmark = pytest.mark.integration


async def test_a_successor_joins_a_question_with_what_was_said_before_it_came(kafka_settings: Settings) -> None:
    async with working(kafka_settings, "sentences"):
        async with working(kafka_settings, "questions") as worker:
            await write(kafka_settings, TRANSCRIPTS, "call", [AsrChunk(text="We could rent the hall.")])
            await stored_until(kafka_settings, QUESTIONS, 1)
            assert await worker.stop() == 0
        environ = {"QUESTION_PROFILE": "balanced; speakers=A", "QUESTION_MODEL": "cascade"}
        async with working(kafka_settings, "questions", environ=environ):
            chunks = [AsrChunk(text="And how much?", speaker="B"), AsrChunk(text="And how much?", speaker="A")]
            await write(kafka_settings, TRANSCRIPTS, "call", chunks)
            _, passed_over, asked = await stored_until(kafka_settings, QUESTIONS, 3)
    assert passed_over.record.reason == "this speaker is not listened to"
    assert (asked.record.text, asked.record.original) == ("We could rent the hall. how much?", "And how much?")
