"""Sends dead letters again: what a letter meant is written to transcripts, as a new source of the same session.

The record that is written says in its header `rag-redriven` which letter it comes from. It is the only mark that a
letter was sent again, so there is no second one that could miss or lie after a crash.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from gateway.log_range import read_range, starts
from ops.dead_letters import Letter, Place
from ops.log_range import partitions_of
from pipeline.errors import BrokerError
from pipeline.settings import Settings
from topics import headers
from topics.catalog import QUESTIONS, RIVER, SENTENCES, TRANSCRIPTS, Lane, Topic
from topics.codec import DecodeError, decode, encode
from topics.messages import Ask, AsrChunk, Control, End, Record


class RefusedError(Exception):
    """A letter cannot be sent again; the message says why and what to do instead."""


@dataclass(frozen=True)
class Resend:
    """What sending a letter again writes.

    Attributes:
        letter: the dead letter.
        topic: transcripts of the lane it comes from.
        value: bytes to write; they can be read.
    """

    letter: Letter
    topic: str
    value: bytes

    @property
    def record(self) -> Record:
        """What is written."""
        record: Record = decode(TRANSCRIPTS, self.value)
        return record

    @property
    def headers(self) -> list[headers.Header]:
        """Foreign headers as they came, and what it comes from."""
        mark = f"{self.letter.place} {self.letter.question_id}".strip()
        return [*self.letter.foreign, (headers.REDRIVEN, mark.encode())]

    @property
    def acts_at_once(self) -> bool:
        """Whether it would act on the session as it is now, which may be long after it was meant."""
        return isinstance(self.record, Control | End)


def resend_of(letter: Letter, prefix: str = "rag") -> Resend:
    """What a letter meant, as a record of transcripts.

    Raises:
        RefusedError: it cannot be read, or is nothing that can be sent.
    """
    names = {topic.on(lane, prefix): (topic, lane) for lane in Lane for topic in RIVER}
    if letter.topic not in names:
        raise RefusedError(f"its header {headers.ORIGIN} names no topic of ours ({letter.topic or 'none'})")
    topic, lane = names[letter.topic]
    value = letter.value or b""
    if topic is not TRANSCRIPTS:
        value = _meaning(topic, value)
    try:
        decode(TRANSCRIPTS, value)
    except DecodeError as exc:
        raise RefusedError(
            f"it would fail again: {exc}. Write a corrected record to {TRANSCRIPTS.on(lane, prefix)}"
        ) from exc
    return Resend(letter, TRANSCRIPTS.on(lane, prefix), _without_id(value))


def _meaning(topic: Topic, value: bytes) -> bytes:
    """What a record of a middle topic would have been on transcripts; read as far as it can be read."""
    try:
        held = msgspec.json.decode(value)
    except (ValueError, RecursionError) as exc:
        raise RefusedError(f"no text can be read in it: {exc}") from exc
    kind = held.get("type") if isinstance(held, dict) else None
    if topic is SENTENCES and kind == "sentence":
        return encode(AsrChunk(text=_text(held), **_texts(held, "lang", "profile", "speaker")))
    if topic is QUESTIONS and kind == "question":
        options = held.get("options")
        return encode(
            Ask(text=_text(held), options=options if isinstance(options, dict) else {}, **_texts(held, "lang"))
        )
    if kind in ("control", "ask", "end"):
        return value
    raise RefusedError(f"a record of kind {kind!r} on {topic.noun} asks nothing that could be sent again")


def _text(held: dict[str, Any]) -> str:
    text = held.get("text")
    if not isinstance(text, str) or not text.strip():
        raise RefusedError("it holds no text")
    return text


def _texts(held: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: held[name] for name in names if isinstance(held.get(name), str)}


def _without_id(value: bytes) -> bytes:
    """The untouched bytes, but for an `id`: the sentences stage takes a second record of one id for a repeat."""
    held = msgspec.json.decode(value)
    if held.get("id") is None:
        return value
    return msgspec.json.encode({name: field for name, field in held.items() if name != "id"})


async def find_sent(consumer: AIOKafkaConsumer, settings: Settings, resends: Sequence[Resend]) -> dict[Letter, str]:
    """Letters that were sent before, or may have been, and why we think so.

    Their records are younger than they are: transcripts are read from the time of the oldest on, and only the
    partitions of the letters' sessions.
    """
    wanted: defaultdict[TopicPartition, set[Letter]] = defaultdict(set)
    for resend, tp in (await _targets(settings, resends)).items():
        wanted[tp].add(resend.letter)
    reasons: dict[Letter, str] = {}
    for tp, letters in wanted.items():
        reasons |= await _sent_in(consumer, settings, tp, {str(letter.place): letter for letter in letters})
    return reasons


async def _sent_in(
    consumer: AIOKafkaConsumer, settings: Settings, tp: TopicPartition, letters: dict[str, Letter]
) -> dict[Letter, str]:
    begin = (await consumer.beginning_offsets([tp]))[tp]
    places = await starts(consumer, [tp], min(letter.time for letter in letters.values()), settings)
    found: dict[Letter, str] = {}
    oldest = None  # time of the first record there is, where there were others before it
    async for raw in read_range(consumer, places):
        if raw.offset == begin > 0:
            oldest = raw.timestamp / 1000
        mark = (headers.redriven(raw.headers) or b"").partition(b" ")[0].decode("ascii", "replace")
        if mark in letters:
            found[letters[mark]] = f"it was sent before: {tp.topic} {Place(raw.partition, raw.offset)}"
    if oldest is not None:
        gone = f"{tp.topic} does not reach back to it any more, so it may have been sent before"
        return {letter: gone for letter in letters.values() if letter.time < oldest} | found
    return found


async def _targets(settings: Settings, resends: Sequence[Resend]) -> dict[Resend, TopicPartition]:
    partitions = {topic: await partitions_of(settings, topic) for topic in {resend.topic for resend in resends}}
    return {resend: _target(resend, partitions[resend.topic]) for resend in resends}


def _target(resend: Resend, partitions: list[TopicPartition]) -> TopicPartition:
    """The partition of the session; without a key, which is a session of its own, where the record stood."""
    if resend.letter.key is None:
        return partitions[resend.letter.origin.partition % len(partitions)]
    chosen: TopicPartition = DefaultPartitioner()(resend.letter.key, partitions, partitions)
    return chosen


async def send_again(settings: Settings, resends: Sequence[Resend]) -> AsyncIterator[tuple[Resend, Place]]:
    """Write them one after the other, each acknowledged before the next; gives where each stands.

    Raises:
        BrokerError: one could not be stored; those given before are.
    """
    options = settings.kafka_client() | {"acks": "all", "enable_idempotence": not settings.kafka_embedded}
    try:
        async with AIOKafkaProducer(**options, max_request_size=2 * 1024 * 1024) as producer:
            for resend, tp in (await _targets(settings, resends)).items():
                place = (resend.letter.key, tp.partition)
                stored = await producer.send_and_wait(tp.topic, resend.value, *place, headers=resend.headers)
                yield resend, Place(stored.partition, stored.offset)
    except KafkaError as exc:
        raise BrokerError(
            f"Kafka did not store the record: {exc!r}. Run the same again: what is stored is known."
        ) from exc
