"""Fake of Serper's `POST /search`: one object with answer box, knowledge graph and organic results.

Fields as in the recorded answers of public clients (Haystack's test fixture among them).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ops.fakes.dialect import Call, Dialect
from ops.fakes.replies import Reply


class Serper(Dialect):
    """A search of which every result is about what was asked."""

    def question(self, body: Mapping[str, Any]) -> str:
        """The words to look for."""
        return str(body["q"])

    def streams(self, call: Call) -> bool:
        """Never."""
        return False

    def whole(self, call: Call) -> dict[str, Any]:
        """The reply's own body, or results that say its text."""
        if call.reply.body is not None:
            return call.reply.body
        asked = {name: call.body[name] for name in ("q", "gl", "hl") if name in call.body}
        first = {"title": "What was asked", "link": "https://example.org/asked", "snippet": call.text, "position": 1}
        second = {"title": "More of it", "link": "https://example.org/more", "position": 2}  # some have no snippet
        box = {"answer": call.text, "title": "In short", "link": "https://example.org/short"}
        parameters = {**asked, "autocorrect": True, "type": "search"}
        return {"searchParameters": parameters, "answerBox": box, "organic": [first, second], "credits": 1}

    def error(self, reply: Reply) -> dict[str, Any]:
        """A message and the status."""
        return {"message": reply.message, "statusCode": reply.status}
