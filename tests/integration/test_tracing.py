"""Traces on a real Kafka, out of real processes, to a real collector: from what a client says to its answer."""

from __future__ import annotations

import dataclasses

import pytest

from ops.fakes import Reply
from ops.ports import free_port
from pipeline import tracing
from pipeline.settings import Settings
from tests.client import Client, until_ready
from tests.collector import Exported, collecting
from tests.providers import scripted_provider
from tests.workers import running, working
from topics.catalog import TRANSCRIPTS

pytestmark = pytest.mark.integration


def named(spans: list[Exported], name: str, session: str) -> list[Exported]:
    """Spans by their name, of one session."""
    return [span for span in spans if span.name == name and span.attributes.get(tracing.SESSION) == session]


async def test_one_trace_leads_from_a_chunk_to_its_answer_and_says_how_long_the_sentence_was_held(
    kafka_settings: Settings,
) -> None:
    settings = dataclasses.replace(kafka_settings, port=free_port())
    with collecting() as collector:
        async with scripted_provider() as provider:
            provider.script("refund", Reply(text="It takes five days."))
            environ = {**provider.environ, **collector.environ}
            async with (
                working(settings, "sentences", "questions", "answers", environ=environ) as worker,
                running(settings, "gateway", environ=environ),
            ):
                await until_ready(settings)
                async with Client.at(settings) as client:
                    await client.chunk("How long does")
                    await client.chunk("a refund take")
                    await client.until("idle")
                    session = client.session
                spans = await collector.until(lambda spans: bool(named(spans, "answers", session)))
                assert await worker.stop() == 0
    first, last = named(spans, "send " + TRANSCRIPTS.on(prefix=settings.topic_prefix), session)
    trace = [span for span in spans if span.trace == last.trace]
    by_name = {span.name: span for span in trace}
    assert not last.parent and first.trace != last.trace
    chain = [last.name, "sentences", "sentence", "questions", "answers"]
    for parent, child in zip(chain, chain[1:], strict=False):
        assert by_name[child].parent == by_name[parent].id
    assert by_name["sentence"].attributes[tracing.DELAY] >= 400
    assert by_name["sentence"].attributes[tracing.ENDED_BY] == "silence" and by_name["sentence"].links == 1
    assert by_name["questions"].attributes[tracing.IS_QUESTION] is True
    assert by_name["answers"].attributes[tracing.PROVIDER] == "openai"
    assert {span.service for span in trace} == {"realtime-rag-gateway", "realtime-rag-worker"}
