"""Fake of Dify's `POST /chat-messages`: chatbot, chatflow, agent and new agent, streamed and blocking.

Events and their order as in Dify's documentation ("Consume Streaming Responses", "Send Chat Message", "Errors"): a
chatflow that goes well ends with `message_end` and then `workflow_finished`, one that fails with `workflow_finished`
and `error`; an agent's text comes as `agent_message`; a new agent repeats its whole text in a closing `message`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ops.fakes.dialect import Call, Dialect
from ops.fakes.replies import Reply

AGENTS = ("agent", "new-agent")
CODES = {400: "invalid_param", 401: "unauthorized", 404: "not_found", 429: "too_many_requests"}


class Dify(Dialect):
    """One app whose type the reply says."""

    def question(self, body: Mapping[str, Any]) -> str:
        """The query; `user` and `inputs` have to be there."""
        if not body["user"] or not isinstance(body["inputs"], dict):
            raise KeyError("user")
        return str(body["query"])

    def streams(self, call: Call) -> bool:
        """Blocking is the default of the API."""
        return call.body.get("response_mode") == "streaming"

    def whole(self, call: Call) -> dict[str, Any]:
        """A blocking answer."""
        answer = {"id": "msg-1", "mode": "chat", "answer": call.text, "metadata": _metadata(call)}
        return {"event": "message", **_ids(call), **answer}

    def opening(self, call: Call) -> Iterator[str]:
        """What the app does before it speaks."""
        if call.reply.reasoning and call.reply.kind in AGENTS:
            thought = {"id": "th-1", "position": 1, "thought": call.reply.reasoning, "tool": "", "tool_input": ""}
            yield _event(call, "agent_thought", **thought, observation="", message_files=[])
        if call.reply.kind == "chatflow":
            yield _event(call, "workflow_started", data={"id": "run-1", "workflow_id": "wf-1", "inputs": {}}, **_RUN)
            yield _event(call, "node_started", data={"id": "n-1", "node_type": "knowledge-retrieval"}, **_RUN)
            yield _event(call, "node_finished", data={"id": "n-1", "status": "succeeded", "outputs": {}}, **_RUN)
            if call.reply.reasoning:
                thinking = {"message_id": "msg-1", "reasoning": call.reply.reasoning, "node_id": "n-2"}
                yield _event(call, "reasoning_chunk", data={**thinking, "is_final": True}, **_RUN)

    def piece(self, call: Call, at: int) -> str:
        """One word, by the name that this type of app gives it."""
        if at == call.reply.replace_after:
            text = "".join(call.words[at:])
            return _event(call, "message_replace", answer=text, reason="output_moderation")
        if call.reply.replace_after is not None and at > call.reply.replace_after:
            return ""
        kind = "agent_message" if call.reply.kind in AGENTS else "message"
        return _event(call, kind, answer=call.words[at])

    def closing(self, call: Call) -> Iterator[str]:
        """What it all was and cost."""
        if call.reply.kind == "new-agent":
            yield _event(call, "message", answer=call.text)
        yield _event(call, "message_end", metadata=_metadata(call))
        if call.reply.kind == "chatflow":
            data = {"id": "run-1", "status": "succeeded", "outputs": {"answer": call.text}, "total_tokens": 16}
            yield _event(call, "workflow_finished", data=data, **_RUN)

    def failure(self, call: Call) -> str:
        """A failure of the app; the status of the response stays 200."""
        error = call.reply.error
        told = {"status": error.get("status", 500), "code": error.get("code", "internal_server_error")}
        said = "data: " + json.dumps({"event": "error", "message_id": "msg-1", **told, "message": error.get("message")})
        if call.reply.kind != "chatflow":
            return said + "\n\n"
        data = {"id": "run-1", "status": "failed", "error": error.get("message")}
        return _event(call, "workflow_finished", data=data, **_RUN) + said + "\n\n"

    def ping(self, call: Call) -> str:
        """A name without data, every 10 seconds in the real one."""
        return "event: ping\n\n"

    def error(self, reply: Reply) -> dict[str, Any]:
        """Code, message and the status once more."""
        code = reply.code or CODES.get(reply.status, "internal_server_error")
        return {"code": code, "message": reply.message, "status": reply.status}


_RUN = {"workflow_run_id": "run-1"}


def _ids(call: Call) -> dict[str, Any]:
    conversation = call.body.get("conversation_id") or f"conversation-of-{call.body['user']}"
    return {"task_id": "task-1", "message_id": "msg-1", "conversation_id": conversation, "created_at": 1}


def _event(call: Call, kind: str, **fields: Any) -> str:
    return "data: " + json.dumps({"event": kind, **_ids(call), **fields}) + "\n\n"  # escaped, as Dify does


def _metadata(call: Call) -> dict[str, Any]:
    if call.reply.bare:
        return {}
    said = len(call.words)
    usage = {"prompt_tokens": 10, "completion_tokens": said, "total_tokens": 10 + said}
    money = {"prompt_unit_price": "0.001", "total_price": "0.0001230", "currency": "USD", "latency": 0.5}
    return {"usage": {**usage, **money}, "retriever_resources": [_resource(n, s) for n, s in _sources(call)]}


def _sources(call: Call) -> list[tuple[int, Mapping[str, Any]]]:
    return list(enumerate(call.reply.sources, start=1))


def _resource(position: int, source: Mapping[str, Any]) -> dict[str, Any]:
    dataset = {
        "dataset_id": "ds-1",
        "dataset_name": source.get("dataset", "Handbook"),
        "document_id": f"doc-{position}",
    }
    found = {"segment_id": f"seg-{position}", "score": source.get("score", 0.9), "content": source.get("text", "")}
    return {
        "position": position,
        **dataset,
        "document_name": source["title"],
        "data_source_type": "upload_file",
        **found,
    }
