"""The sentences stage on a real Kafka: chunks in, each of them in exactly one row of sentences out."""

from __future__ import annotations

import asyncio
import time

import pytest

from agents.speech import SPEAKS
from pipeline.settings import Settings
from tests.workers import source_of, stored_until, working, write
from tests.writers import CUTTING, committed
from topics.catalog import SENTENCES, TRANSCRIPTS
from topics.messages import AsrChunk, Control, Endpointing
from topics.sources import Source

pytestmark = pytest.mark.integration


async def test_chunks_become_sentences_named_by_where_they_end(kafka_settings: Settings) -> None:
    chunks = [AsrChunk(text="How long does"), AsrChunk(text="a refund take? It"), AsrChunk(text="was a gift.")]
    async with working(kafka_settings, "sentences") as worker:
        offsets = await write(kafka_settings, TRANSCRIPTS, "call-1", chunks)

        first, second = await stored_until(kafka_settings, SENTENCES, 2)
        assert await worker.stop() == 0
    assert (first.record.text, source_of(first)) == ("How long does a refund take?", Source(offsets[1], 14))
    assert (second.record.text, source_of(second)) == ("It was a gift.", Source(offsets[2], 11))
    assert first.record.offsets == offsets[:2]


async def test_an_open_sentence_ends_by_silence_and_an_instant_query_consumes_it(kafka_settings: Settings) -> None:
    async with working(kafka_settings, "sentences"):
        await write(kafka_settings, TRANSCRIPTS, "a", [AsrChunk(text="and what about the price")])
        await write(kafka_settings, TRANSCRIPTS, "b", [AsrChunk(text="the price is"), Control(action="instant_query")])
        found = {item.session: item.record for item in await stored_until(kafka_settings, SENTENCES, 2)}
    assert (found["a"].text, found["a"].ended_by) == ("and what about the price", "silence")
    assert (found["b"].action, found["b"].text) == ("instant_query", "the price is")


async def test_a_long_chunk_is_not_repeated_in_each_of_its_sentences(kafka_settings: Settings) -> None:
    """A transcript of an hour comes as one chunk; what was heard last stands in the last of its sentences."""
    text = " ".join(f"This is sentence number {number}." for number in range(300))
    async with working(kafka_settings, "sentences"):
        await write(kafka_settings, TRANSCRIPTS, "long", [AsrChunk(text=text)])
        stored = await stored_until(kafka_settings, SENTENCES, 300)
    assert [item.record.latest for item in stored] == [""] * 298 + [text] * 2  # 299 at once, the last by silence


async def test_what_a_session_asked_of_its_sentences_outlives_the_worker_that_heard_it(
    kafka_settings: Settings,
) -> None:
    first = AsrChunk(text="alpha beta gamma delta.", endpointing=Endpointing(max_chars=20))
    async with working(kafka_settings, "sentences") as worker:
        await write(kafka_settings, TRANSCRIPTS, "own", [first])
        await stored_until(kafka_settings, SENTENCES, 2)
        assert await worker.stop() == 0
    async with working(kafka_settings, "sentences"):
        await write(kafka_settings, TRANSCRIPTS, "own", [AsrChunk(text="alpha beta gamma delta.")])
        await write(kafka_settings, TRANSCRIPTS, "other", [AsrChunk(text="alpha beta gamma delta.")])
        stored = await stored_until(kafka_settings, SENTENCES, 5)
    texts = {session: [item.record.text for item in stored if item.session == session] for session in ("own", "other")}
    assert texts == {"own": ["alpha beta gamma", "delta."] * 2, "other": ["alpha beta gamma delta."]}


async def test_somebody_else_who_begins_to_speak_ends_the_sentence(kafka_settings: Settings) -> None:
    chunks = [
        AsrChunk(text="and the price of the", speaker="anna", endpointing=Endpointing(max_silence=10)),
        AsrChunk(text="well", speaker="ben", is_final=False),
    ]
    async with working(kafka_settings, "sentences"):
        await write(kafka_settings, TRANSCRIPTS, "a", chunks)
        [sentence] = await stored_until(kafka_settings, SENTENCES, 1)
    assert (sentence.record.text, sentence.record.ended_by) == ("and the price of the", "speaker")


async def test_a_successor_knows_the_pauses_that_were_heard_before_it_came(kafka_settings: Settings) -> None:
    """Interim chunks are done with once they are heard, but not those of a segment that is not final yet."""
    said, begun = "we have the keys for the room you can take them with you", time.time() - 6
    words = said.split()
    times = [begun + 0.35 * at + 0.7 * (at > 6) for at in range(len(words))]  # a pause behind "room"
    interims = [AsrChunk(text=" ".join(words[: at + 1]), is_final=False) for at in range(len(words))]
    async with working(kafka_settings, "sentences") as worker:
        await write(kafka_settings, TRANSCRIPTS, "call", [*interims, Control(action="cancel")], times)
        await stored_until(kafka_settings, SENTENCES, 1)
        assert await worker.stop() == 0
    async with working(kafka_settings, "sentences"):
        await write(kafka_settings, TRANSCRIPTS, "call", [AsrChunk(text=said)], [times[-1] + 0.1])
        _, first, second = await stored_until(kafka_settings, SENTENCES, 3)
    assert (first.record.text, first.record.ended_by) == ("we have the keys for the room", "words")
    assert second.record.text == "you can take them with you"


async def test_what_was_begun_and_never_final_holds_nothing_up(kafka_settings: Settings) -> None:
    """Somebody's microphone is cut off in the middle of a word: the position moves on."""
    async with working(kafka_settings, "sentences"):
        begun = AsrChunk(text="and then", is_final=False)
        await write(kafka_settings, TRANSCRIPTS, "cut off", [begun], [time.time() - SPEAKS - 1])
        await write(kafka_settings, TRANSCRIPTS, "call", [AsrChunk(text="The end.")])
        await stored_until(kafka_settings, SENTENCES, 1)
        done = 0
        async with asyncio.timeout(40):
            while done < 2:
                positions = [await committed(kafka_settings, CUTTING, partition) for partition in range(4)]
                done = sum(max(0, position) for position, _ in positions)
