"""What a run leaves behind, as JSON lines: clients' transcripts, topics, commits, faults and provider calls."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

LANED, LETTERS = ("transcripts", "sentences", "questions", "answers"), "dead-letters"


class Entry(NamedTuple):
    """A record of a topic; `value` is its JSON, None where it is none; times are in seconds since 1970."""

    topic: str
    partition: int
    offset: int
    time: float
    key: str | None
    headers: dict[str, str]
    value: Any


class Commit(NamedTuple):
    """A position that the group coordinator accepted from a stage."""

    stage: str
    partition: int
    offset: int
    time: float


class Event(NamedTuple):
    """Something at a client: `open`, `sent`, `heard`, `gone`, or `again` (heard by a late viewer of the session)."""

    client: str
    session: str
    time: float
    what: str
    data: Any


class Fault(NamedTuple):
    """A fault that was done; `partitions` are those that a worker had then."""

    time: float
    kind: str
    target: str
    partitions: list[int]


class Call(NamedTuple):
    """A question that the provider was asked, and what became of it."""

    question: str
    call: int
    outcome: str


@dataclass
class Evidence:
    """All of it."""

    entries: list[Entry] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Write one file a kind."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in vars(self).items():
            lines = (json.dumps(row, ensure_ascii=False) for row in rows)
            (folder / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        kinds = {"entries": Entry, "commits": Commit, "events": Event, "faults": Fault, "calls": Call}
        read = {name: (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines() for name in kinds}
        return cls(**{name: [kinds[name](*json.loads(line)) for line in lines] for name, lines in read.items()})


async def read_topics(servers: str, prefix: str, lane: str = "") -> tuple[list[Entry], list[Commit]]:
    """Every record of a lane's topics (of the bulk lane: `.bulk`), and every position that was ever committed."""
    names = {noun: f"{prefix}.{noun}{lane}.v1" for noun in LANED} | {LETTERS: f"{prefix}.{LETTERS}.v1"}
    entries = [_entry(noun, raw) for noun, name in names.items() for raw in await _read(servers, name)]
    commits = [commit for raw in await _read(servers, "__consumer_offsets") if (commit := _commit(raw, prefix))]
    return entries, commits


async def _read(servers: str, topic: str) -> list[Any]:
    options = {"bootstrap_servers": servers, "enable_auto_commit": False, "fetch_max_wait_ms": 50}
    found: list[Any] = []
    async with AIOKafkaConsumer(**options, exclude_internal_topics=False, auto_offset_reset="earliest") as reader:
        numbers = await reader._client._wait_on_metadata(topic)
        places = [TopicPartition(topic, number) for number in numbers]
        reader.assign(places)
        ends = await reader.end_offsets(places)
        while any([await reader.position(place) < end for place, end in ends.items()]):
            for batch in (await reader.getmany(timeout_ms=200)).values():
                found += batch
    return sorted(found, key=lambda raw: (raw.partition, raw.offset))


def _entry(noun: str, raw: Any) -> Entry:
    try:
        value = json.loads(raw.value)
    except (TypeError, ValueError):
        value = None
    headers = {name: (text or b"").decode() for name, text in raw.headers}
    key = None if raw.key is None else raw.key.decode()
    return Entry(noun, raw.partition, raw.offset, raw.timestamp / 1000, key, headers, value)


def _commit(raw: Any, prefix: str) -> Commit | None:
    """Kafka's own OffsetCommitKey and OffsetCommitValue; anything else on that topic is passed over."""
    (version,) = struct.unpack_from(">h", raw.key or b"\0\x09")
    if version not in (0, 1) or not raw.value:
        return None
    group, at = _text(raw.key, 2)
    _, at = _text(raw.key, at)
    (partition,) = struct.unpack_from(">i", raw.key, at)
    (offset,) = struct.unpack_from(">q", raw.value, 2)
    if not group.startswith(f"{prefix}-"):
        return None
    return Commit(group.removeprefix(f"{prefix}-").removesuffix("-bulk"), partition, offset, raw.timestamp / 1000)


def _text(data: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">h", data, at)
    return data[at + 2 : at + 2 + length].decode(), at + 2 + length


def by_session(events: Iterable[Event]) -> dict[str, list[Event]]:
    """The events of each session, in order."""
    found: dict[str, list[Event]] = {}
    for event in events:
        found.setdefault(event.session, []).append(event)
    return found
