"""Dify's events read into an answer: text, replacements, sources, usage and the end, whatever kind of app speaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.providers.base import Delta, Replace


class DifyAnswer:
    """One answer, event by event.

    Attributes:
        text: all of it so far.
        task: name of the running generation, for stopping it; empty before the first event.
        thread: the conversation.
        failure: `code` and `message` of what went wrong, None as long as nothing did.
        broken: the same of a workflow; an `error` that says more may follow.
        ended: whether the answer is whole.
        is_workflow: whether a workflow runs; its end comes after that of the answer.
        over: whether Dify has nothing left to do.
    """

    def __init__(self) -> None:
        self.text = self.task = self.thread = ""
        self.sources: list[dict[str, Any]] = []
        self.usage: Any = None
        self.failure: Mapping[str, Any] | None = None
        self.ended = self.is_workflow = self.over = False
        self._is_agent = False
        self.broken: Mapping[str, Any] | None = None

    def take(self, event: Mapping[str, Any]) -> Delta | Replace | None:
        """Read one event; gives what a reader sees of it."""
        self.task = str(event.get("task_id") or self.task)
        self.thread = str(event.get("conversation_id") or self.thread)
        match event.get("event"):
            case "message" if not self._is_agent:  # a new agent's closing message repeats the whole answer
                return self._say(event)
            case "agent_message":
                self._is_agent = True
                return self._say(event)
            case "message_replace":
                self.text = _text(event, "answer")
                return Replace(self.text)
            case "message_end":
                self._end(_of(event, "metadata"))
            case "error":
                self._fail(event)
            case "workflow_started":
                self.is_workflow = True
            case "workflow_finished":
                self._finish(_of(event, "data"))
            case "workflow_paused" | "human_input_required":
                self._fail({"code": "paused", "message": "the workflow waits for a person's input"})
        return None

    def _say(self, event: Mapping[str, Any]) -> Delta | None:
        text = _text(event, "answer")
        self.text += text
        return Delta(text) if text else None

    def _end(self, metadata: Mapping[str, Any]) -> None:
        self.ended, self.usage = True, metadata.get("usage")
        self.over = not self.is_workflow
        found = metadata.get("retriever_resources")
        resources = [resource for resource in found if isinstance(resource, dict)] if isinstance(found, list) else []
        self.sources = [source(n, resource) for n, resource in enumerate(resources, start=1)]

    def _finish(self, data: Mapping[str, Any]) -> None:
        self.over = True
        if data.get("status") in ("failed", "stopped"):
            self.broken = {"code": "workflow", "message": data.get("error") or f"the workflow {data['status']}"}
        else:
            self.ended = self.ended or bool(self.text)

    def _fail(self, failure: Mapping[str, Any]) -> None:
        self.failure, self.over = failure, True


def source(n: int, resource: Mapping[str, Any]) -> dict[str, Any]:
    """A citation out of one of the `retriever_resources`.

    >>> source(1, {"document_name": "plans.md", "dataset_name": "Handbook", "score": 0.9, "content": "Nine euros."})
    {'n': 1, 'title': 'plans.md', 'heading': 'Handbook', 'score': 0.9, 'text': 'Nine euros.'}
    """
    names = {"heading": "dataset_name", "score": "score", "text": "content", "document_id": "document_id"}
    known = {ours: resource[theirs] for ours, theirs in names.items() if resource.get(theirs) not in (None, "")}
    title = resource.get("document_name") or resource.get("dataset_name") or f"source {n}"
    return {"n": n, "title": str(title), **known}


def _text(event: Mapping[str, Any], name: str) -> str:
    text = event.get(name)
    return text if isinstance(text, str) else ""


def _of(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = value.get(name)
    return inner if isinstance(inner, dict) else {}
