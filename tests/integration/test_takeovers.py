"""Real workers that freeze, that find their topics changed, and clients that send again what they do not know of."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import AsyncIterator

import pytest

from pipeline.settings import Settings
from tests.providers import Scripted, scripted_provider, slow
from tests.workers import Worker, stored, stored_until, told_until, until, working, write
from tests.writers import recreate
from topics.catalog import SENTENCES, TRANSCRIPTS
from topics.messages import AsrChunk

pytestmark = pytest.mark.integration

LONG = "The first answer is long and it goes on and on until somebody stops it."


@pytest.fixture
async def provider() -> AsyncIterator[Scripted]:
    async with scripted_provider() as scripted:
        yield scripted


def opened(worker: Worker) -> bool:
    """Whether it has taken over a partition."""
    return "opened" in worker.log.read_text()


# -- frozen workers ----------------------------------------------------------------------------------------------------


async def test_a_worker_frozen_in_the_middle_of_an_answer_and_woken_adds_nothing(
    kafka_settings: Settings, provider: Scripted
) -> None:
    """Frozen until the group has given its partitions away, woken while its successor answers."""
    provider.script("refund", slow(LONG, 0.3))
    async with (
        working(kafka_settings, "sentences", "questions"),
        working(kafka_settings, "answers", environ=provider.environ) as frozen,
    ):
        await write(kafka_settings, TRANSCRIPTS, "call", [AsrChunk(text="How long does a refund take?")])
        seen = await told_until(kafka_settings, "call", "answer", "answer")
        frozen.signal(signal.SIGSTOP)
        provider.script("refund", slow("Five days is what it takes.", 0.3))
        async with working(kafka_settings, "answers", environ=provider.environ):
            await told_until(kafka_settings, "call", "querying_rag", "querying_rag", "answer", seconds=60)
            frozen.signal(signal.SIGCONT)
            await told_until(kafka_settings, "call", "idle", seconds=60)
            await until(lambda: "partitions are taken over anew" in frozen.log.read_text())
            assert await frozen.stop() == 0
            told = await told_until(kafka_settings, "call", "idle")
    assert told.messages[: len(seen.messages)] == seen.messages
    assert told.texts == ["Five days is what it takes."]
    assert told.indexes == list(range(len(told.indexes)))
    assert told.stages == ["analyzing", "querying_rag", "querying_rag", "idle"]


# -- topics that change under a worker ---------------------------------------------------------------------------------


async def test_a_worker_whose_input_was_recreated_says_so_and_ends(kafka_settings: Settings) -> None:
    name = TRANSCRIPTS.on(prefix=kafka_settings.topic_prefix)
    async with working(kafka_settings, "sentences") as worker:
        await write(kafka_settings, TRANSCRIPTS, "call", [AsrChunk(text=f"Sentence {number}.") for number in range(3)])
        await stored_until(kafka_settings, SENTENCES, 3)
        await worker.stop()
    await recreate(kafka_settings, name)
    async with working(kafka_settings, "sentences") as worker:
        await until(lambda: worker.process.poll() is not None)
        lines = [line for line in worker.log.read_text().splitlines() if "was deleted and created again" in line]
        assert worker.process.returncode != 0
    assert len(lines) == 1, worker.log.read_text()
    assert name in lines[0]
    assert "Traceback" not in worker.log.read_text()


async def test_a_running_worker_whose_input_is_recreated_does_not_begin_again_by_itself(
    kafka_settings: Settings,
) -> None:
    watched = dataclasses.replace(kafka_settings, handler_deadline=1.0)
    async with working(watched, "sentences") as worker:
        await write(kafka_settings, TRANSCRIPTS, "call", [AsrChunk(text=f"Sentence {number}.") for number in range(3)])
        await stored_until(kafka_settings, SENTENCES, 3)
        await recreate(kafka_settings, TRANSCRIPTS.on(prefix=kafka_settings.topic_prefix))
        await write(kafka_settings, TRANSCRIPTS, "call", [AsrChunk(text="Said to a new log.")])
        await until(lambda: worker.process.poll() is not None, seconds=60)
        assert worker.process.returncode != 0
    assert len(await stored(kafka_settings, SENTENCES)) == 3


# -- resend ------------------------------------------------------------------------------------------------------------


def chunk(text: str, client_id: str) -> AsrChunk:
    return AsrChunk(text=text, id=client_id)


async def test_a_chunk_sent_again_with_its_id_is_heard_once_also_across_a_kill(kafka_settings: Settings) -> None:
    """The first is in a stored sentence when the worker dies, the second in an open one."""
    patient = dataclasses.replace(kafka_settings, sentence_max_silence=60.0)
    async with working(patient, "sentences") as worker:
        await write(patient, TRANSCRIPTS, "call", [chunk("It was a gift.", "c1"), chunk("So how much", "c2")])
        await stored_until(patient, SENTENCES, 1)
        worker.kill()
    again = [chunk("It was a gift.", "c1"), chunk("So how much", "c2"), chunk("is it?", "c3")]
    await write(patient, TRANSCRIPTS, "call", again)
    async with working(patient, "sentences") as worker:
        found = await stored_until(patient, SENTENCES, 2)
        await write(patient, TRANSCRIPTS, "call", [*again, chunk("The end.", "c4")])
        found = await stored_until(patient, SENTENCES, 3)
        assert await worker.stop() == 0
    assert [item.record.text for item in found] == ["It was a gift.", "So how much is it?", "The end."]
    assert [item.record.ids for item in found] == [["c1"], ["c2", "c3"], ["c4"]]


async def test_an_id_is_known_after_a_clean_restart_though_nothing_is_left_to_read_again(
    kafka_settings: Settings,
) -> None:
    """The bound stands above the sentence: only the look-back knows."""
    for _ in range(2):
        async with working(kafka_settings, "sentences") as worker:
            await write(kafka_settings, TRANSCRIPTS, "call", [chunk("It was a gift.", "c1")])
            await stored_until(kafka_settings, SENTENCES, 1)
            await until(lambda: opened(worker))
            assert await worker.stop() == 0
    async with working(kafka_settings, "sentences"):
        await write(kafka_settings, TRANSCRIPTS, "call", [chunk("It was a gift.", "c1"), chunk("The end.", "c2")])
        found = await stored_until(kafka_settings, SENTENCES, 2)
    assert [item.record.text for item in found] == ["It was a gift.", "The end."]
