"""Chat completions on the wire: the body of a request, and one answer's chunks read into text and an end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What our reading of the stream depends on, and who is talking: not for the caller of a batch task to replace.
FIXED = frozenset({"messages", "stream", "stream_options", "n"})


class ModelAnswer:
    """One answer; `reason` is why it ended, None as long as it has not."""

    path: str

    def __init__(self) -> None:
        self.usage: Any = None
        self.reason: str | None = None
        self.sources: list[dict[str, Any]] = []


class ChatAnswer(ModelAnswer):
    """An answer of chat completions."""

    path = "/chat/completions"

    @staticmethod
    def body(messages: list[dict[str, str]], options: Mapping[str, Any]) -> dict[str, Any]:
        """The request, streamed, with the usage."""
        free = {name: value for name, value in options.items() if name not in FIXED}
        return {**free, "messages": messages, "stream": True, "stream_options": {"include_usage": True}}

    def over(self, data: bytes) -> bool:
        """Whether this event is the mark of the end."""
        if data.strip() != b"[DONE]":
            return False
        self.reason = self.reason or "stop"
        return True

    def failure(self, chunk: Mapping[str, Any]) -> Any:
        """What the server says went wrong, if it does."""
        return chunk.get("error")

    def take(self, chunk: Mapping[str, Any]) -> str:
        """The text of a chunk, often none."""
        self.usage = chunk.get("usage") or self.usage
        text, ended = choice(chunk)
        self.reason = ended or self.reason
        return text


def choice(chunk: Mapping[str, Any]) -> tuple[str, str | None]:
    """Text and reason for ending in a chunk; servers leave out any of these fields, and the last chunk has no choice.

    >>> choice({"choices": [{"delta": {"content": None, "reasoning_content": "Hm"}, "finish_reason": None}]})
    ('', None)
    >>> choice({"choices": [], "usage": {"total_tokens": 9}}), choice({"choices": [{"delta": {"content": "Yes"}}]})
    (('', None), ('Yes', None))
    """
    choices = chunk.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict):
        return "", None
    delta = first.get("delta")
    fields = delta if isinstance(delta, dict) else {}
    text = fields.get("content") or fields.get("refusal") or ""
    reason = first.get("finish_reason")
    return (text if isinstance(text, str) else ""), (reason if isinstance(reason, str) and reason else None)
