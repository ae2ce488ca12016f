"""Dead letters as an operator sees them: what failed, where it came from and why."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from gateway.log_range import read_range, starts
from ops.log_range import partitions_of
from pipeline.errors import RagError
from pipeline.settings import Settings
from topics import headers
from topics.catalog import DEAD_LETTERS
from topics.sources import Source, public_id, session_of


class DeadLetterError(RagError):
    """What was named is no dead letter."""


class Place(NamedTuple):
    """Where a record stands in its topic."""

    partition: int
    offset: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `partition:offset`.

        >>> str(Place.parse("3:17"))
        '3:17'

        Raises:
            DeadLetterError: the text is not of that form.
        """
        partition, colon, offset = text.partition(":")
        if not (colon and partition.isdecimal() and offset.isdecimal()):
            raise DeadLetterError(
                f"{text!r} is no place of a dead letter: it is PARTITION:OFFSET, as `dlq list` shows."
            )
        return cls(int(partition), int(offset))

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"


@dataclass(frozen=True)
class Letter:
    """One dead letter.

    Attributes:
        place: where it stands among the dead letters.
        time: when it was written, seconds since 1970.
        key: of the record that failed; None: it had none.
        value: its untouched bytes.
        stage: who could not handle it.
        attempt: how often it was tried.
        error: why.
        topic: where it came from; empty where the letter does not say.
        origin: its place there.
        source: what it was about, where that is known.
        redrive_of: place of the dead letter that it was sent again from.
        foreign: headers that are not ours.
    """

    place: Place
    time: float
    key: bytes | None
    value: bytes | None
    stage: str
    attempt: str
    error: str
    topic: str
    origin: Place
    source: Source | None
    redrive_of: str
    foreign: tuple[headers.Header, ...] = ()

    @property
    def session(self) -> str:
        """Whose record it was."""
        return session_of(self.key, *self.origin)

    @property
    def question_id(self) -> str:
        """The id that its client was told in the error; empty where there is none."""
        return public_id(self.session, self.source) if self.source is not None else ""


def read_letter(raw: Any) -> Letter:
    """A fetched record of the dead letters; nothing of it is taken for granted, as anybody may write there."""
    said = {name: (value or b"").decode("utf-8", "replace") for name, value in raw.headers if name.startswith("rag-")}
    topic, partition, offset = (said.get(headers.ORIGIN, "").rsplit("/", 2) + ["", ""])[:3]
    origin, source = Place(-1, -1), None
    with contextlib.suppress(DeadLetterError):
        origin = Place.parse(f"{partition}:{offset}")
    with contextlib.suppress(ValueError):
        source = Source.parse(said[headers.SOURCE]) if headers.SOURCE in said else None
    return Letter(
        place=Place(raw.partition, raw.offset),
        time=raw.timestamp / 1000,
        key=raw.key,
        value=raw.value,
        stage=said.get(headers.STAGE, ""),
        attempt=said.get(headers.ATTEMPT, ""),
        error=said.get(headers.ERROR, ""),
        topic=topic,
        origin=origin,
        source=source,
        redrive_of=said.get(headers.REDRIVEN, "").partition(" ")[0],
        foreign=tuple(header for header in raw.headers if not header[0].startswith("rag-")),
    )


@dataclass(frozen=True)
class Choice:
    """Which dead letters; what is None is not asked."""

    stage: str | None = None
    session: str | None = None
    since: float = 0.0

    def takes(self, letter: Letter) -> bool:
        """Whether this letter is one of them."""
        stage, session = self.stage in (None, letter.stage), self.session in (None, letter.session)
        return stage and session and letter.time >= self.since


async def find_letters(consumer: AIOKafkaConsumer, settings: Settings, choice: Choice) -> list[Letter]:
    """The dead letters of a choice, oldest first; those of a session in the order in which they failed."""
    partitions = await partitions_of(settings, DEAD_LETTERS.on(prefix=settings.topic_prefix))
    places = await starts(consumer, partitions, choice.since, settings)
    letters = [read_letter(raw) async for raw in read_range(consumer, places)]
    return sorted(filter(choice.takes, letters), key=lambda letter: (letter.time, letter.place))


async def get_letters(consumer: AIOKafkaConsumer, settings: Settings, named: Sequence[Place]) -> list[Letter]:
    """The dead letters at these places, in the order of the places.

    Raises:
        DeadLetterError: nothing stands at one of them.
    """
    topic = DEAD_LETTERS.on(prefix=settings.topic_prefix)
    known = {tp.partition for tp in await partitions_of(settings, topic)}
    found: dict[Place, Letter] = {}
    for place in sorted(set(named)):
        if place.partition in known:
            async for raw in read_range(consumer, {TopicPartition(topic, place.partition): place.offset}):
                found[Place(raw.partition, raw.offset)] = read_letter(raw)
                break
        if place not in found:
            raise DeadLetterError(f"There is no dead letter at {place} of {topic}; `realtime-rag dlq list` shows them.")
    return [found[place] for place in dict.fromkeys(named)]
