"""What a fake answers: a reply with at most some faults, chosen by the question, a script or a named fault."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from pipeline.errors import ConfigurationError


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
_NAMED = re.compile(r"fault:([\w-]+)")


def choose(replies: Mapping[str, Sequence[Reply]], question: str, call: int) -> Reply:
    """The reply to the nth call with a question.

    `fault:NAME` in the question asks for that fault. Else the longest key that occurs in the question wins, `*` is any
    question; the nth call gets the nth reply, later calls the last one.

    >>> choose({"*": [Reply("a")], "tax": [Reply("b"), Reply("c")]}, "the tax?", 5).text
    'c'
    >>> choose({}, "fault:429 and the tax?", 1).status
    429
    """
    named = _NAMED.search(question)
    if named and named[1] in FAULTS:
        return FAULTS[named[1]]
    keys = sorted((key for key in replies if key in question), key=len)
    fitting = replies[keys[-1]] if keys else replies.get("*", [Reply()])
    return fitting[min(call, len(fitting)) - 1]


def read_script(script: Any) -> dict[str, list[Reply]]:
    """Replies by key, out of a script's JSON: `{"replies": {"tax": ["429", {"text": "Nineteen percent."}]}}`.

    Raises:
        ConfigurationError: it is not of this form, or names a fault or a field that there is not.
    """
    try:
        return {key: [_reply(given) for given in replies] for key, replies in script["replies"].items()}
    except (KeyError, TypeError, AttributeError) as exc:
        wanted = '{"replies": {"part of a question, or *": ["name of a fault" or an object, …]}}'
        raise ConfigurationError(f"A script of the fakes must look like {wanted}; this one does not: {exc}.") from exc


def _reply(given: Any) -> Reply:
    if isinstance(given, str):
        return named_fault(given)
    if unknown := given.keys() - {known.name for known in fields(Reply)}:
        raise ConfigurationError(f"A reply of the fakes has no {', '.join(sorted(unknown))}.")
    return Reply(**given)


def named_fault(name: str) -> Reply:
    """The reply of a fault.

    Raises:
        ConfigurationError: there is no such fault; lists those that there are.
    """
    if name not in FAULTS:
        raise ConfigurationError(f"There is no fault {name!r}; there are {', '.join(FAULTS)}.")
    return FAULTS[name]
