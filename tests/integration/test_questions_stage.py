"""The questions stage on a real Kafka: what its successor knows of what was said."""

from __future__ import annotations

import pytest

from ops.fakes import Reply
from pipeline.settings import Settings
from tests.providers import scripted_provider
from tests.workers import stored_until, working, write
from topics.catalog import QUESTIONS, TRANSCRIPTS
from topics.messages import AsrChunk, NotAQuestion, Question

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


async def test_a_provider_decides_where_the_model_is_unsure_and_its_verdict_outlives_the_worker(
    kafka_settings: Settings,
) -> None:
    said = ["How much is it?", "And that's on the left.", "You are coming tomorrow.", "This is fine."]
    async with scripted_provider() as provider, working(kafka_settings, "sentences"):
        provider.script("You are coming", Reply(text="Yes"), Reply(text="No"))
        provider.script("on the left.", Reply(status=500))
        environ = {**provider.environ, "QUESTION_ASK_PROVIDER": "openai"}
        async with working(kafka_settings, "questions", environ=environ) as worker:
            await write(kafka_settings, TRANSCRIPTS, "call", [AsrChunk(text=text) for text in said])
            judged = [item.record for item in await stored_until(kafka_settings, QUESTIONS, 4)]
            worker.kill()
        async with working(kafka_settings, "questions", environ=environ):
            await write(kafka_settings, TRANSCRIPTS, "call", [AsrChunk(text="And how much?")])
            again = [item.record for item in await stored_until(kafka_settings, QUESTIONS, 5)]
        assert [request.call for request in provider.server.requests] == [1, 1]
    assert again[:4] == judged
    assert [type(record) for record in judged] == [Question, NotAQuestion, Question, NotAQuestion]
    assert judged[2].reason.startswith("openai says that it asks; the model: ")
    assert not any(record.reason.startswith("openai") for record in judged[:2])
