"""Dotted paths into JSON, for servers whose answers have a form of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Paths:
    """Comma-separated dotted paths; the first one that leads to something is followed.

    >>> Paths("answer, choices.0.delta.content").of({"choices": [{"delta": {"content": "Yes"}}]})
    'Yes'
    >>> Paths("answer").of({"content": "Yes"}) is None
    True
    """

    def __init__(self, text: str) -> None:
        parts = [path.strip() for path in text.split(",")]
        self._paths: Sequence[Sequence[str]] = [path.split(".") for path in parts if path]

    def of(self, value: Any) -> Any:
        """What stands there, None where nothing does."""
        return next((found for path in self._paths if (found := _follow(value, path)) is not None), None)


def _follow(value: Any, path: Sequence[str]) -> Any:
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.lstrip("-").isdigit() and -len(value) <= int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value
