"""What a fake answers: a reply with at most some faults, and the faults that have a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One answer. A fault `*_after: n` happens when n pieces are out; seconds for all times."""

    text: str = "This is a scripted answer about what was asked."
    pieces: list[str] | None = None  # instead of text, which is cut into words
    first_delay: float = 0.0  # before the response begins
    delay: float = 0.0  # before each piece
    status: int = 200  # anything else: an error body with `message`
    message: str = "scripted failure"
    code: str = ""  # of an error body; empty: the usual one for the status
    headers: dict[str, str] = field(default_factory=dict)  # such as {"retry-after": "2"}
    cut_after: int | None = None  # the connection breaks
    stop_after: int | None = None  # the response ends properly, but without what says that the answer is whole
    error_after: int | None = None  # an error object in the stream
    error: dict[str, Any] = field(default_factory=lambda: {"message": "scripted failure", "type": "server_error"})
    garbage_after: int | None = None  # an event that is not JSON
    silence_after: int | None = None  # nothing for `silence` seconds, pings apart
    silence: float = 30.0
    ping: float = 0.0  # seconds between pings during a silence; 0: none
    replace_after: int | None = None  # Dify: what is out is replaced by the rest
    reasoning: str = ""  # comes first, apart from the answer, where the provider has a place for it
    bare: bool = False  # a server that leaves out all that a client can do without
    sources: list[dict[str, Any]] = field(default_factory=list)  # each with title, text and what else there is
    kind: str = ""  # Dify: chatbot (default), chatflow, agent, new-agent; custom: sse (default), ndjson, text, json
    body: dict[str, Any] | None = None  # Serper, custom json: the whole answer instead of ours
    content_type: str = ""  # instead of the usual one
    wire: str = ""  # the whole body as it is, instead of all that; such as a sample of `recordings.py`

    def words(self) -> list[str]:
        """The pieces in which it is sent; joined they are the text."""
        if self.pieces is not None:
            return self.pieces
        words = self.text.split(" ")
        return [word + " " for word in words[:-1]] + words[-1:]


FAULTS: Mapping[str, Reply] = {
    "401": Reply(status=401, message="the key is not known here"),
    "429": Reply(status=429, message="too many requests"),
    "429-retry-after": Reply(status=429, message="too many requests", headers={"retry-after": "2"}),
    "500": Reply(status=500, message="something broke on our side"),
    "slow": Reply(first_delay=5.0),
    "cut": Reply(cut_after=3),
    "stop": Reply(stop_after=3),
    "error": Reply(error_after=3),
    "garbage": Reply(garbage_after=3),
    "ping": Reply(silence_after=3, silence=3.0, ping=0.5),
    "silence": Reply(silence_after=3, silence=30.0),
}
