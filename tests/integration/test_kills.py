"""Stages killed with records open, alone and in pairs: nothing is lost, nothing is said twice."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from ops.fakes import Reply
from pipeline.settings import Settings
from tests.providers import Scripted, scripted_provider, slow
from tests.workers import Stored, Worker, source_of, stored, stored_until, told_until, until, working, write, write_each
from topics.catalog import QUESTIONS, SENTENCES, TRANSCRIPTS
from topics.messages import AsrChunk, Sentence

pytestmark = pytest.mark.integration

SESSIONS = [f"call-{number}" for number in range(24)]
CHUNKS = ["First of all", "I would like to know", "how long it takes. Then", "we can go on.", "So how much", "is it?"]
SPOKEN = ["First of all I would like to know how long it takes.", "Then we can go on.", "So how much is it?"]


@pytest.fixture
async def provider() -> AsyncIterator[Scripted]:
    async with scripted_provider() as scripted:
        yield scripted


async def started(stack: AsyncExitStack, settings: Settings, provider: Scripted, *stages: str) -> Worker:
    return await stack.enter_async_context(working(settings, *stages, environ=provider.environ))


@pytest.mark.parametrize("workers", [1, 2])
async def test_an_answer_begun_by_a_killed_worker_is_given_once_by_the_next(
    kafka_settings: Settings, provider: Scripted, workers: int
) -> None:
    provider.script("refund", slow("The first answer is long and it goes on and on until somebody stops it.", 0.3))
    async with AsyncExitStack() as stack:
        await started(stack, kafka_settings, provider, "sentences", "questions")
        answering = [await started(stack, kafka_settings, provider, "answers") for _ in range(workers)]
        await write(kafka_settings, TRANSCRIPTS, "call", [AsrChunk(text="How long does a refund take?")])
        seen = await told_until(kafka_settings, "call", "answer", "answer", "answer")
        provider.script("refund", Reply(text="Five days."))
        for worker in answering:
            worker.kill()
        await started(stack, kafka_settings, provider, "answers")
        told = await told_until(kafka_settings, "call", "idle", seconds=60)
    assert told.messages[: len(seen.messages)] == seen.messages
    assert told.stages == ["analyzing", "querying_rag", "querying_rag", "idle"]
    assert told.messages[told.position("querying_rag", 2)]["note"] == "retrying"
    assert told.texts == ["Five days."]
    assert told.indexes == list(range(len(told.indexes)))


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_killed_sentences_worker_cuts_each_chunk_once(
    kafka_settings: Settings, provider: Scripted, workers: int
) -> None:
    """Every session is killed in the middle of a sentence; its open chunks are read again."""
    patient = dataclasses.replace(kafka_settings, sentence_max_silence=120.0)  # no cut by the pauses of this test
    async with AsyncExitStack() as stack:
        running = [await started(stack, patient, provider, "sentences") for _ in range(workers)]
        await until(lambda: all_opened(running))
        for spoken in (CHUNKS[:3], CHUNKS[3:5], CHUNKS[5:]):
            for session in SESSIONS:
                await write(kafka_settings, TRANSCRIPTS, session, [AsrChunk(text=text) for text in spoken])
            running.pop(0).kill()
            running.append(await started(stack, patient, provider, "sentences"))
        await stored_until(kafka_settings, SENTENCES, len(SESSIONS) * len(SPOKEN))
    assert texts_by_session(await stored(kafka_settings, SENTENCES)) == dict.fromkeys(SESSIONS, SPOKEN)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_killed_questions_worker_judges_each_sentence_once(
    kafka_settings: Settings, provider: Scripted, workers: int
) -> None:
    many = [f"Sentence number {number}." for number in range(100)]
    async with AsyncExitStack() as stack:
        running = [await started(stack, kafka_settings, provider, "questions") for _ in range(workers)]
        await started(stack, kafka_settings, provider, "sentences")
        await hear(kafka_settings, SESSIONS[:12], many)
        for enough in (1, 300, 700):
            await stored_until(kafka_settings, QUESTIONS, enough)
            running.pop(0).kill()
            running.append(await started(stack, kafka_settings, provider, "questions"))
        await stored_until(kafka_settings, QUESTIONS, 12 * len(many))
    judged = Counter((item.session, source_of(item)) for item in await stored(kafka_settings, QUESTIONS))
    assert len(judged) == 12 * len(many)
    assert set(judged.values()) == {1}


async def hear(settings: Settings, sessions: list[str], spoken: list[str]) -> None:
    """Write the same final chunks in each of the sessions."""
    await write_each(settings, TRANSCRIPTS, {session: [AsrChunk(text=text) for text in spoken] for session in sessions})


def all_opened(workers: list[Worker]) -> bool:
    """Whether each of the workers has taken over a partition."""
    return all("opened" in worker.log.read_text() for worker in workers)


def texts_by_session(found: list[Stored]) -> dict[str, list[str]]:
    """The sentences of each session in the order of the log."""
    texts: dict[str, list[str]] = {}
    for item in found:
        assert isinstance(item.record, Sentence)
        texts.setdefault(item.session, []).append(item.record.text)
    return texts
