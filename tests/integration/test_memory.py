"""What a session was told before goes along with its next question, also to another worker after a kill."""

from __future__ import annotations

import pytest

from ops.fakes import Fakes, Reply, serving
from pipeline.settings import Settings
from tests.workers import told_until, working, write
from topics.catalog import TRANSCRIPTS
from topics.messages import AsrChunk

pytestmark = pytest.mark.integration


async def test_another_worker_knows_the_turns_and_the_conversation_of_a_session(kafka_settings: Settings) -> None:
    fakes = Fakes(
        {"Basic": [Reply("Nine euros.")], "Pro": [Reply(pieces=["Ni", "Twelve ", "euros."], replace_after=1)]}
    )
    async with serving(fakes) as url, working(kafka_settings, "sentences", "questions"):
        chat = {"RAG_PROVIDER": "openai", "OPENAI_API_KEY": "k", "OPENAI_BASE_URL": url}
        dify = {"RAG_PROVIDER": "dify", "DIFY_API_KEY": "k", "DIFY_BASE_URL": url}
        async with working(kafka_settings, "answers", environ=dify) as first:
            await write(kafka_settings, TRANSCRIPTS, "call", [AsrChunk(text="What does the Basic plan cost?")])
            await told_until(kafka_settings, "call", "idle")
            first.kill()
        async with working(kafka_settings, "answers", environ=dify) as second:
            await write(kafka_settings, TRANSCRIPTS, "call", [AsrChunk(text="And what does the Pro plan cost?")])
            told = await told_until(kafka_settings, "call", "idle", "idle", seconds=60)
            second.kill()
        async with working(kafka_settings, "answers", environ=chat):
            await write(kafka_settings, TRANSCRIPTS, "call", [AsrChunk(text="And what do both plans cost together?")])
            await told_until(kafka_settings, "call", "idle", "idle", "idle", seconds=60)
    started, went_on, without = (request.body for request in fakes.requests)
    assert (started["conversation_id"], went_on["conversation_id"]) == ("", "conversation-of-call")
    assert told.texts == ["Nine euros.", "Twelve euros."]
    assert [said["content"] for said in without["messages"][1:]] == [
        "What does the Basic plan cost?",
        "Nine euros.",
        "what does the Pro plan cost?",
        "Twelve euros.",
        "what do both plans cost together?",
    ]
