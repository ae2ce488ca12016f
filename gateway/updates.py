"""One answers record to what a viewer of its session is sent: folded, with a cursor in each message, as JSON."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import msgspec

from pipeline.cursor import Cursor
from pipeline.delivery import Entry, Message, View, fold
from topics.catalog import ANSWERS
from topics.codec import DecodeError, decode
from topics.headers import read_stamp
from topics.messages import Stopped
from topics.sources import Source


class Update(NamedTuple):
    """The messages that one record makes of a view; `stopped` says that the session was closed by it."""

    source: Source
    messages: list[Message]
    frames: list[str]
    stopped: bool = False


class Viewer(Protocol):
    """Somebody who looks at a session.

    Attributes:
        partition: the one that the session lives on.
        view: what he has been told so far.
        position: offset of the next answers record for him; records below it are passed over.
        since: end of the session's transcripts partition when he came.
    """

    session: str
    partition: int
    view: View
    position: int
    since: int

    def deliver(self, update: Update) -> None:
        """Take what a record says; the view stands behind it already."""

    def expire(self, oldest: str) -> None:
        """Hear that a part of the log is gone, and the cursor from which it goes on."""

    async def room(self) -> None:
        """Return when more may be delivered without drowning him."""


def read_entry(session: str, record: Any) -> Entry | None:
    """What an aiokafka record says of its session; nothing for claims, foreign and unreadable ones."""
    try:
        stamp = read_stamp(record.headers)
        if stamp.source is None:
            return None
        return Entry(session, stamp.source, stamp.epoch, decode(ANSWERS, record.value))
    except (ValueError, DecodeError):
        return None


def advance(view: View, entry: Entry, offset: int, value: bytes, skip: int = 0) -> tuple[View, Update]:
    """Fold one record; the first `skip` messages, which the viewer has, are left out.

    The cursor of a message is of its place among all messages of the record.
    """
    after, messages = fold(view, entry)
    named = [
        message | {"cursor": Cursor.at(entry.session, offset, view, seen=seen, value=value).dump()}
        for seen, message in enumerate(messages, start=1)
    ][skip:]
    stopped = isinstance(entry.record, Stopped) and bool(named)
    return after, Update(entry.source, named, [dump(message) for message in named], stopped)


def dump(message: Message) -> str:
    """A server message as the text of a frame."""
    return msgspec.json.encode(message).decode()
