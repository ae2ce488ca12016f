"""OpenAI's Responses on the wire: the body of a request, and one answer's events read into text and an end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.providers.chat import ModelAnswer

FIXED = frozenset({"input", "instructions", "stream", "messages", "stream_options", "n"})
_TEXT = ("response.output_text.delta", "response.refusal.delta")


class ResponsesAnswer(ModelAnswer):
    """An answer of Responses."""

    path = "/responses"

    @staticmethod
    def body(messages: list[dict[str, str]], options: Mapping[str, Any]) -> dict[str, Any]:
        """The request, streamed; the system's message becomes the instructions. Nothing is kept by the server."""
        system, *turns = messages
        free = {name: value for name, value in options.items() if name not in FIXED}
        limit = free.pop("max_tokens", None) or free.pop("max_completion_tokens", None)
        limits = {"max_output_tokens": limit} if limit else {}
        return {"store": False, **limits, **free, "instructions": system["content"], "input": turns, "stream": True}

    def over(self, data: bytes) -> bool:
        """Whether this event is a mark of the end: the protocol has none, some servers send one all the same."""
        return data.strip() == b"[DONE]"

    def failure(self, event: Mapping[str, Any]) -> Any:
        """What the server says went wrong, if it does."""
        match event.get("type"):
            case "error":
                return {name: event.get(name) for name in ("message", "code", "type")} | _nested(event)
            case "response.failed":
                return _nested(_of(event, "response")) or {"message": "no reason given"}
        return event.get("error") if "type" not in event else None

    def take(self, event: Mapping[str, Any]) -> str:
        """The text of an event, often none."""
        match event.get("type"):
            case kind if kind in _TEXT:
                text = event.get("delta")
                return text if isinstance(text, str) else ""
            case "response.output_text.annotation.added":
                self._cite(_of(event, "annotation"))
            case "response.completed":
                self._end(event, "stop")
            case "response.incomplete":
                reason = _of(_of(event, "response"), "incomplete_details").get("reason")
                self._end(event, str(reason or "length"))
        return ""

    def _end(self, event: Mapping[str, Any], reason: str) -> None:
        self.reason, self.usage = reason, _of(event, "response").get("usage")

    def _cite(self, annotation: Mapping[str, Any]) -> None:
        title = annotation.get("title") or annotation.get("filename") or annotation.get("url")
        if not title:
            return
        places = {"url": annotation.get("url"), "file": annotation.get("filename")}
        known = {name: place for name, place in places.items() if place}
        if all(known.items() - source.items() for source in self.sources):
            self.sources.append({"n": len(self.sources) + 1, "title": str(title), **known})


def _of(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = value.get(name)
    return inner if isinstance(inner, dict) else {}


def _nested(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: inner for name, inner in _of(value, "error").items() if inner}
