"""Where a client stands in its session's answers, as an opaque string that any gateway can continue from."""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import NamedTuple, Self

import msgspec

from pipeline.delivery import View
from topics.sources import Source

VERSION = 1
MAX_OFFSET = 2**63  # of a Kafka log


class CursorError(ValueError):
    """The cursor is none of ours, of another session, or of another log; the message says which."""


class _Wire(msgspec.Struct, array_like=True, frozen=True):
    version: int
    offset: int
    seen: int
    checksum: int
    session: str
    epoch: int
    said: tuple[int, int]
    replied: tuple[int, int]
    ended: tuple[int, int]
    current: tuple[int, int] | None
    attempt: int
    index: int


class Cursor(NamedTuple):
    """The client has seen `seen` messages of the record at `offset`; `view` is the state before that record.

    It is not signed: a forged one fools only its owner. Who may read a session is checked when it is opened.
    """

    offset: int
    seen: int
    checksum: int
    session: str
    view: View

    @classmethod
    def at(cls, session: str, offset: int, view: View, seen: int = 0, value: bytes = b"") -> Self:
        """Cursor after `seen` messages of the record `value` at `offset`, or before it if none."""
        return cls(offset, seen, zlib.crc32(value), _fingerprint(session), view)

    def dump(self) -> str:
        """The opaque string."""
        view, place = self.view, (VERSION, self.offset, self.seen, self.checksum, self.session)
        told = (view.said, view.replied, view.ended)
        wire = _Wire(*place, view.epoch, *told, view.current, view.attempt, view.upcoming)
        return base64.urlsafe_b64encode(msgspec.msgpack.encode(wire)).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str, session: str) -> Self:
        """Read a cursor of this session.

        Raises:
            CursorError: not one of ours, or of another session.
        """
        try:
            raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
            wire = msgspec.msgpack.decode(raw, type=_Wire)
        except (ValueError, msgspec.DecodeError, RecursionError) as exc:
            raise CursorError("this is not a cursor of this service") from exc
        if wire.version != VERSION or not 0 <= wire.offset < MAX_OFFSET or wire.seen < 0:
            raise CursorError("this is not a cursor of this version of the service")
        if wire.session != _fingerprint(session):
            raise CursorError("this cursor belongs to another session")
        current = Source(*wire.current) if wire.current else None
        told = {"said": Source(*wire.said), "replied": Source(*wire.replied), "ended": Source(*wire.ended)}
        view = View(epoch=wire.epoch, **told, current=current, attempt=wire.attempt, upcoming=wire.index)
        return cls(wire.offset, wire.seen, wire.checksum, wire.session, view)

    def check(self, value: bytes) -> None:
        """See that the record at the cursor's offset is the one it was made at.

        Raises:
            CursorError: it is another one: the log is not the one the cursor was made for.
        """
        if self.seen and zlib.crc32(value) != self.checksum:
            raise CursorError("this cursor belongs to another log")


def _fingerprint(session: str) -> str:
    return hashlib.sha256(session.encode("utf-8", "surrogatepass")).hexdigest()[:16]
