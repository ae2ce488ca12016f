"""What a fake of one provider has to know: how a request is read, and how each part of an answer is written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ops.fakes.replies import Reply


@dataclass(frozen=True)
class Call:
    """One question on its way: its number among the same ones, the request's body and the reply to it."""

    question: str
    number: int
    body: Mapping[str, Any]
    reply: Reply
    words: list[str]

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(self.words)


class Dialect:
    """Base of the fakes: everything in server-sent events, unless said otherwise."""

    def content_type(self, call: Call) -> str:
        """Type of a stream."""
        return "text/event-stream"

    def question(self, body: Mapping[str, Any]) -> str:
        """What is asked."""
        raise NotImplementedError

    def streams(self, call: Call) -> bool:
        """Whether the answer comes in pieces."""
        return bool(call.body.get("stream"))

    def whole(self, call: Call) -> dict[str, Any]:
        """The answer in one object."""
        raise NotImplementedError

    def opening(self, call: Call) -> Iterator[str]:
        """What comes before the first piece."""
        yield from ()

    def piece(self, call: Call, at: int) -> str:
        """Word number `at`."""
        raise NotImplementedError

    def closing(self, call: Call) -> Iterator[str]:
        """What comes after the last piece."""
        yield from ()

    def failure(self, call: Call) -> str:
        """A failure in the middle of the stream, HTTP status 200."""
        return event({"error": call.reply.error})

    def garbage(self) -> str:
        """What no client can read."""
        return "data: {not json\n\n"

    def ping(self, call: Call) -> str:
        """A sign of life without data."""
        return ": ping\n\nevent: ping\n\n"

    def error(self, reply: Reply) -> dict[str, Any]:
        """The body of an answer with an error status."""
        return {"error": {"message": reply.message, "type": "scripted", "param": None, "code": reply.code or None}}


def event(value: Mapping[str, Any], name: str = "") -> str:
    """A server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(value, ensure_ascii=False)}\n\n"
