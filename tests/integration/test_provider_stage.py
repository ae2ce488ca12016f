"""What the answers stage asks of providers: limits that hold across workers and lanes, and a stop where one cancels."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest

from ops.fakes import Fakes, Reply, serving
from ops.fakes.server import Request
from pipeline.settings import Settings
from tests.workers import told_until, working, write, write_each
from topics.catalog import TRANSCRIPTS, Lane
from topics.messages import AsrChunk, Control, End

pytestmark = pytest.mark.integration

STAGES = ("sentences", "questions", "answers")


class Watched(Fakes):
    """Fakes that know how many answers to live and to bulk questions ran at the same time, at most."""

    most: Counter[str] = Counter()

    async def _notify(self) -> None:
        running = Counter(lane_of(request) for request in self.requests if request.outcome == "running")
        self.most |= running
        await super()._notify()


def lane_of(request: Request) -> str:
    return "bulk" if "bulk" in request.question else "live"


async def test_bulk_questions_of_any_number_leave_live_ones_their_part_of_a_limit(kafka_settings: Settings) -> None:
    live = dataclasses.replace(kafka_settings, provider_concurrency=4, provider_live_share=0.5)
    bulk = dataclasses.replace(live, lane=Lane.BULK)
    fakes = Watched({"bulk": [Reply("one by one by one", delay=0.4)], "*": [Reply("at once")]})
    async with serving(fakes) as url:
        environ = {"RAG_PROVIDER": "openai", "OPENAI_API_KEY": "k", "OPENAI_BASE_URL": url}
        async with (
            working(live, *STAGES, environ=environ),
            working(live, *STAGES, environ=environ),
            working(bulk, *STAGES, environ=environ),
        ):
            many = {f"b{number}": [AsrChunk(text="How long is a bulk one?"), End()] for number in range(12)}
            await write_each(bulk, TRANSCRIPTS, many)
            await fakes.until(lambda requests: len(requests) >= 2, 40)  # as many as bulk ones may be
            few = {f"l{number}": [AsrChunk(text="How long is a live one?")] for number in range(8)}
            await write_each(live, TRANSCRIPTS, few)
            for session in few:
                assert (await told_until(live, session, "idle")).text == "at once"
            waiting = 12 - sum(
                request.outcome == "answered" and lane_of(request) == "bulk" for request in fakes.requests
            )
    assert waiting > 0
    assert fakes.most["bulk"] == 2
    assert 1 <= fakes.most["live"] <= 2  # of both workers together


async def test_a_cancelled_answer_is_stopped_at_dify_too(kafka_settings: Settings) -> None:
    fakes = Fakes({"*": [Reply("word " * 200, delay=0.1)]})
    async with serving(fakes) as url:
        environ = {"RAG_PROVIDER": "dify", "DIFY_API_KEY": "k", "DIFY_BASE_URL": url}
        async with working(kafka_settings, *STAGES, environ=environ):
            await write(kafka_settings, TRANSCRIPTS, "call", [AsrChunk(text="How long does it take?")])
            await told_until(kafka_settings, "call", "answer")
            await write(kafka_settings, TRANSCRIPTS, "call", [Control(action="cancel")])
            await told_until(kafka_settings, "call", "answer", "idle")
            await fakes.until(lambda _: fakes.stops == ["task-1"])
    assert fakes.requests[0].outcome == "disconnected"
