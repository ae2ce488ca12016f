"""Fake of a server of one's own: takes `{question, …options}` and answers in the form that the reply names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ops.fakes.dialect import Call, Dialect, event

USAGE = {"prompt_tokens": 10, "completion_tokens": 6}
TYPES = {"": "text/event-stream", "sse": "text/event-stream", "ndjson": "application/x-ndjson", "text": "text/plain"}


class Custom(Dialect):
    """Server-sent events, JSON lines, plain text or one object."""

    def content_type(self, call: Call) -> str:
        """By the form."""
        return TYPES[call.reply.kind]

    def question(self, body: Mapping[str, Any]) -> str:
        """The question."""
        return str(body["question"])

    def streams(self, call: Call) -> bool:
        """All but one object."""
        return call.reply.kind != "json"

    def whole(self, call: Call) -> dict[str, Any]:
        """The reply's own body, or the usual fields."""
        if call.reply.body is not None:
            return call.reply.body
        return {"answer": call.text, "sources": call.reply.sources, "usage": USAGE, "metadata": {"model": "own"}}

    def piece(self, call: Call, at: int) -> str:
        """One word."""
        if call.reply.kind == "text":
            return call.words[at]
        return _written(call, {"content": call.words[at]})

    def closing(self, call: Call) -> Iterator[str]:
        """Sources and usage."""
        if call.reply.kind != "text" and not call.reply.bare:
            yield _written(call, {"sources": call.reply.sources, "usage": USAGE, "done": True})
        if call.reply.kind in ("", "sse"):
            yield "data: [DONE]\n\n"

    def ping(self, call: Call) -> str:
        """What the format has for it: lines can be blank, text can say nothing."""
        return {"ndjson": "\n", "text": ""}.get(call.reply.kind, super().ping(call))

    def failure(self, call: Call) -> str:
        """An object that says what is wrong."""
        return _written(call, {"error": call.reply.error})


def _written(call: Call, value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n" if call.reply.kind == "ndjson" else event(value)
