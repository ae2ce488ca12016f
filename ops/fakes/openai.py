"""Fakes of OpenAI: chat completions and Responses, streamed and whole.

Modelled on the stream examples of OpenAI's API reference ("Create chat completion", "Create a model response") and on
the event types of its Python client.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ops.fakes.dialect import Call, Dialect, event

PROMPT_TOKENS = 10  # what each question is said to have cost


class ChatCompletions(Dialect):
    """`POST /v1/chat/completions`."""

    def question(self, body: Mapping[str, Any]) -> str:
        """The last message of the user."""
        questions: list[str] = [said["content"] for said in body["messages"] if said["role"] == "user"]
        return questions[-1]

    def whole(self, call: Call) -> dict[str, Any]:
        """A completion."""
        message = {"role": "assistant", "content": call.text, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {"id": "chatcmpl-1", "object": "chat.completion", "choices": [choice], "usage": _usage(call)}

    def opening(self, call: Call) -> Iterator[str]:
        """The role alone, then what the model thinks."""
        if not call.reply.bare:
            yield _chunk(call, {"role": "assistant", "content": None})
        if call.reply.reasoning:
            yield _chunk(call, {"reasoning_content": call.reply.reasoning})

    def piece(self, call: Call, at: int) -> str:
        """One word."""
        return _chunk(call, {"content": call.words[at]})

    def closing(self, call: Call) -> Iterator[str]:
        """The reason, what was used where it was asked for, and the mark of the end."""
        if not call.reply.bare:
            yield _chunk(call, {}, "stop")
            if call.body.get("stream_options", {}).get("include_usage"):
                yield event({**_head(call), "choices": [], "usage": _usage(call)})
        yield "data: [DONE]\n\n"


def _head(call: Call) -> dict[str, Any]:
    if call.reply.bare:
        return {}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}


def _chunk(call: Call, delta: Mapping[str, Any], finish: str | None = None) -> str:
    choice = {"delta": delta} if call.reply.bare else {"index": 0, "delta": delta, "finish_reason": finish}
    return event({**_head(call), "choices": [choice]})


def _usage(call: Call) -> dict[str, int]:
    said = len(call.words)
    return {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": said, "total_tokens": PROMPT_TOKENS + said}


class Responses(Dialect):
    """`POST /v1/responses`: every event has its type in the name and in the data, and a number."""

    def question(self, body: Mapping[str, Any]) -> str:
        """The input, or its last message of the user."""
        given = body["input"]
        if isinstance(given, str):
            return given
        return str([said["content"] for said in given if said["role"] == "user"][-1])

    def whole(self, call: Call) -> dict[str, Any]:
        """A response."""
        return _response(call, "completed", output=[_message(call, "completed")], usage=_response_usage(call))

    def opening(self, call: Call) -> Iterator[str]:
        """The response, its message and the part that the text belongs to."""
        if call.reply.bare:
            return
        yield _numbered(0, "response.created", response=_response(call, "in_progress"))
        yield _numbered(1, "response.in_progress", response=_response(call, "in_progress"))
        if call.reply.reasoning:
            yield _numbered(2, "response.reasoning_summary_text.delta", delta=call.reply.reasoning, item_id="rs_1")
        item = {**_message(call, "in_progress"), "content": []}
        yield _numbered(3, "response.output_item.added", output_index=0, item=item)
        part = {"type": "output_text", "text": "", "annotations": []}
        yield _numbered(4, "response.content_part.added", **_PLACE, part=part)

    def piece(self, call: Call, at: int) -> str:
        """One word."""
        return _numbered(5 + at, "response.output_text.delta", **_PLACE, delta=call.words[at], logprobs=[])

    def closing(self, call: Call) -> Iterator[str]:
        """What the text refers to, the text once more, and the whole response."""
        number = 5 + len(call.words)
        if not call.reply.bare:
            for at, source in enumerate(call.reply.sources):
                cited = {"type": "url_citation", "start_index": 0, "end_index": 1, **source}
                place = {**_PLACE, "annotation_index": at, "annotation": cited}
                yield _numbered(number + at, "response.output_text.annotation.added", **place)
            number += len(call.reply.sources)
            yield _numbered(number, "response.output_text.done", **_PLACE, text=call.text, logprobs=[])
            yield _numbered(number + 1, "response.output_item.done", output_index=0, item=_message(call, "completed"))
        yield _numbered(number + 2, "response.completed", response=self.whole(call))

    def failure(self, call: Call) -> str:
        """The event that stands for a failure of the server."""
        error = call.reply.error
        code = error.get("code") or error.get("type")
        return _numbered(9, "error", code=code, message=error.get("message"), param=None)


_PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}


def _numbered(number: int, kind: str, **fields: Any) -> str:
    return event({"type": kind, "sequence_number": number, **fields}, kind)


def _message(call: Call, status: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": call.text, "annotations": []}
    return {"id": "msg_1", "type": "message", "status": status, "role": "assistant", "content": [part]}


def _response(call: Call, status: str, **fields: Any) -> dict[str, Any]:
    model = call.body.get("model")
    usual = {"id": "resp_1", "object": "response", "created_at": 1, "status": status, "error": None, "model": model}
    return {**usual, "output": [], "usage": None, **fields}


def _response_usage(call: Call) -> dict[str, Any]:
    said = len(call.words)
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    return {"input_tokens": PROMPT_TOKENS, "output_tokens": said, "total_tokens": PROMPT_TOKENS + said, **details}
