"""Dead letters on a real Kafka: the client is told, an operator sees them, and what is sent again is answered once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete
from typer.testing import CliRunner, Result

from agents.dead_letters import bury
from ops.admin import admin_client
from ops.cli import app
from ops.fakes import Reply
from pipeline.errors import RagError
from pipeline.settings import Settings
from tests.brokers import Broker, with_topics
from tests.providers import Scripted, scripted_provider
from tests.workers import Stored, dead_letters, stored, stored_until, told_until, working, write
from topics import headers
from topics.catalog import DEAD_LETTERS, SENTENCES, TRANSCRIPTS, Topic
from topics.codec import encode
from topics.messages import AsrChunk, Control, Record
from topics.sources import Source, public_id

pytestmark = pytest.mark.integration


class Failing(NamedTuple):
    """A record as a stage fetched it, which it could not handle."""

    topic: str
    key: bytes | None
    value: bytes
    partition: int = 0
    offset: int = 7
    headers: Sequence[headers.Header] = ()


@pytest.fixture
async def provider() -> AsyncIterator[Scripted]:
    async with scripted_provider() as scripted:
        yield scripted


async def dlq(settings: Settings, *words: str) -> Result:
    """Run `realtime-rag dlq …`."""
    environ = settings.environment()
    result = await asyncio.to_thread(CliRunner().invoke, app, ["dlq", *words], env=environ)
    if result.exception is not None and not isinstance(result.exception, SystemExit | RagError):
        raise result.exception
    return result


async def listed(settings: Settings, *words: str) -> list[dict[str, Any]]:
    """The letters that `dlq list` shows."""
    return [json.loads(line) for line in (await dlq(settings, "list", "--json", *words)).output.splitlines()]


async def fail(settings: Settings, topic: Topic, session: str, *values: bytes | Record) -> list[str]:
    """Bury records as a stage does; gives their places."""
    name = topic.on(settings.lane, settings.topic_prefix)
    async with AIOKafkaProducer(**settings.kafka_client()) as producer:
        for value in values:
            raw = Failing(name, session.encode(), value if isinstance(value, bytes) else encode(value))
            await bury(producer, DEAD_LETTERS.on(prefix=settings.topic_prefix), "sentences", raw, "too hard", Source(7))
    return [letter["place"] for letter in await listed(settings, "--session", session)][-len(values) :]


async def sent(settings: Settings) -> list[Stored]:
    """What stands on transcripts."""
    return await stored(settings, TRANSCRIPTS)


async def spoil_a_sentence(settings: Settings, session: str, text: str) -> tuple[bytes, Source]:
    """Write a sentence behind the session's last one as the sentences stage would, but one that cannot be read."""
    (last,) = [item for item in await stored_until(settings, SENTENCES, 1) if item.session == session]
    assert last.stamp.source is not None
    source = Source(last.stamp.source.offset, last.stamp.source.char + 1)
    value = json.dumps({"type": "sentence", "text": text, "offsets": "none"}).encode()
    place = {"partition": last.partition, "headers": headers.stamp(source, last.stamp.epoch, last.stamp.origin)}
    async with AIOKafkaProducer(**settings.kafka_client()) as producer:
        await producer.send_and_wait(
            SENTENCES.on(settings.lane, settings.topic_prefix), value, session.encode(), **place
        )
    return value, source


async def test_a_sentence_that_failed_is_told_to_its_client_and_answered_when_sent_again(
    kafka_settings: Settings, provider: Scripted
) -> None:
    provider.script("refund", Reply(text="Five days."))
    async with working(kafka_settings, "sentences", "questions", "answers", environ=provider.environ):
        await write(kafka_settings, TRANSCRIPTS, "call", [AsrChunk(text="Good morning.")])
        value, source = await spoil_a_sentence(kafka_settings, "call", "How long does a refund take?")
        told = await told_until(kafka_settings, "call", "SERVER_ERROR")
        question_id = public_id("call", source)
        assert told.messages[-1]["question_id"] == question_id
        (letter,) = await listed(kafka_settings)
        assert (letter["session"], letter["stage"], letter["question_id"]) == ("call", "questions", question_id)
        assert (await dead_letters(kafka_settings, value))[0].headers[headers.SOURCE] == str(source)
        result = await dlq(kafka_settings, "redrive", letter["place"], "--yes")
        assert result.exit_code == 0, result.output
        told = await told_until(kafka_settings, "call", "SERVER_ERROR", "idle")
    assert told.stages == ["waiting_for_question", "analyzing", "querying_rag", "idle"]
    assert told.text == "Five days."
    assert told.messages[told.position("analyzing")]["redrive_of"] == question_id


async def test_letters_are_listed_by_stage_session_and_age(kafka_settings: Settings) -> None:
    (one,) = await fail(kafka_settings, TRANSCRIPTS, "one", b"\xff")
    two = await fail(kafka_settings, SENTENCES, "two", b"a", b"b")
    assert {letter["place"] for letter in await listed(kafka_settings)} == {one, *two}
    assert [letter["place"] for letter in await listed(kafka_settings, "--session", "two", "--since", "1h")] == two
    assert await listed(kafka_settings, "--stage", "answers") == []
    assert await listed(kafka_settings, "--since", "2999-01-01") == []
    shown = (await dlq(kafka_settings, "list", "--session", "one")).output
    assert shown.startswith(one) and shown.rstrip().endswith("too hard")


async def test_a_letter_is_shown_with_its_bytes_and_what_would_be_sent(kafka_settings: Settings) -> None:
    (place,) = await fail(kafka_settings, TRANSCRIPTS, "call", b'{"text": "\x1b[2J\xe4\xbd\xa0"}')
    shown = (await dlq(kafka_settings, "show", place)).output
    assert "too hard" in shown and "call/7.0" in shown and "\\x1b[2J你" in shown
    assert (await dlq(kafka_settings, "show", place, "--raw")).stdout_bytes == b'{"text": "\x1b[2J\xe4\xbd\xa0"}'


@pytest.mark.parametrize("place", ["0:0", "0:99", "99:0"])
async def test_a_place_where_nothing_stands_is_said_so(kafka_settings: Settings, place: str) -> None:
    result = await dlq(kafka_settings, "show", place)
    assert f"no dead letter at {place}" in str(result.exception)


async def test_a_dry_run_says_what_it_would_write_and_writes_nothing(kafka_settings: Settings) -> None:
    (place,) = await fail(kafka_settings, TRANSCRIPTS, "call", b'{"text": "hello"}')
    result = await dlq(kafka_settings, "redrive", place)
    assert place in result.output and '{"text": "hello"}' in result.output
    assert "1 would be sent" in result.output
    assert await sent(kafka_settings) == []


async def test_what_is_sent_again_keeps_its_key_and_says_where_it_comes_from(kafka_settings: Settings) -> None:
    (before,) = await write(kafka_settings, TRANSCRIPTS, "call", [AsrChunk(text="before")])
    (place,) = await fail(kafka_settings, TRANSCRIPTS, "call", b'{"text": "hello"}')
    await dlq(kafka_settings, "redrive", place, "--yes")
    first, second = await sent(kafka_settings)
    assert (first.partition, first.offset) == (second.partition, before)
    assert (second.session, second.record, second.offset) == ("call", AsrChunk(text="hello"), before + 1)


async def test_a_letter_is_not_sent_twice_unless_it_is_said_so(kafka_settings: Settings) -> None:
    places = await fail(kafka_settings, TRANSCRIPTS, "call", b'{"text": "one"}', b'{"text": "two"}')
    await dlq(kafka_settings, "redrive", places[0], "--yes")
    again = await dlq(kafka_settings, "redrive", places[0], "--yes")
    assert again.exit_code == 1
    assert "sent before" in again.output
    both = await dlq(kafka_settings, "redrive", "--all", "--yes")
    assert (both.exit_code, both.output.splitlines()[-1]) == (0, "1 sent, 1 refused.")
    assert [item.record.text for item in await sent(kafka_settings)] == ["one", "two"]
    await dlq(kafka_settings, "redrive", places[0], "--yes", "--again")
    assert [item.record.text for item in await sent(kafka_settings)] == ["one", "two", "one"]


async def test_a_record_that_fails_again_is_a_letter_that_names_the_first(
    kafka_settings: Settings, provider: Scripted
) -> None:
    """Sent by hand, as the command refuses what it sees to fail."""
    (place,) = await fail(kafka_settings, TRANSCRIPTS, "call", b"\xff")
    assert "it would fail again" in (await dlq(kafka_settings, "redrive", place, "--yes")).output
    topic = TRANSCRIPTS.on(kafka_settings.lane, kafka_settings.topic_prefix)
    async with AIOKafkaProducer(**kafka_settings.kafka_client()) as producer:
        await producer.send_and_wait(topic, b"\xfe", b"call", headers=[(headers.REDRIVEN, place.encode())])
    async with working(kafka_settings, "sentences", environ=provider.environ):
        await dead_letters(kafka_settings, b"\xfe")
    assert [letter["redrive_of"] for letter in await listed(kafka_settings)] == [None, place]


async def test_all_sends_speech_in_order_and_leaves_commands_and_what_cannot_be_read(kafka_settings: Settings) -> None:
    stop = Control(action="stop")
    places = await fail(kafka_settings, TRANSCRIPTS, "call", b'{"text": "one"}', stop, b"\xff", b'{"text": "two"}')
    result = await dlq(kafka_settings, "redrive", "--all", "--session", "call", "--yes")
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "2 sent, 2 refused.")
    assert [item.record for item in await sent(kafka_settings)] == [AsrChunk(text="one"), AsrChunk(text="two")]
    await dlq(kafka_settings, "redrive", places[1], "--yes")
    assert (await sent(kafka_settings))[-1].record == stop


async def test_a_letter_older_than_transcripts_is_not_sent_by_accident(kafka_settings: Settings) -> None:
    (place,) = await fail(kafka_settings, TRANSCRIPTS, "call", b'{"text": "hello"}')
    await dlq(kafka_settings, "redrive", place, "--yes")
    await write(kafka_settings, TRANSCRIPTS, "call", [AsrChunk(text="later")])
    (mark, _) = await sent(kafka_settings)
    tp = TopicPartition(TRANSCRIPTS.on(kafka_settings.lane, kafka_settings.topic_prefix), mark.partition)
    async with admin_client(kafka_settings) as admin:
        await admin.delete_records({tp: RecordsToDelete(mark.offset + 1)})
    result = await dlq(kafka_settings, "redrive", place, "--yes")
    assert "does not reach back to it" in result.output
    assert [item.record.text for item in await sent(kafka_settings)] == ["later"]


async def test_the_embedded_broker_keeps_letters_too(tansu: Broker, tmp_path: Path) -> None:
    async with with_topics(tansu, tmp_path) as settings:
        places = await fail(settings, TRANSCRIPTS, "call", b'{"text": "one"}', b'{"text": "two"}')
        for _ in range(2):
            result = await dlq(settings, "redrive", "--all", "--since", "1h", "--yes")
        assert result.output.count("sent before") == len(places) == 2
        assert "no dead letter at 0:99" in str((await dlq(settings, "show", "0:99")).exception)


@pytest.mark.parametrize("words", [[], ["0:1", "--all"], ["0:1", "--session", "x"], ["--all", "--since", "yesterday"]])
async def test_a_choice_that_is_none_is_refused(kafka_settings: Settings, words: list[str]) -> None:
    result = await dlq(kafka_settings, "redrive", *words)
    assert isinstance(result.exception, RagError)
