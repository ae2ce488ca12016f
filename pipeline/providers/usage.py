"""What an answer cost, in one form for all providers; estimated where the provider does not count."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")
NOTHING: Mapping[str, Any] = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}  # of whoever asks no model
CHARACTERS_A_TOKEN = 4.0  # of English and its like; a Chinese character is about one token


def usage_of(given: object) -> dict[str, Any] | None:
    """The counts of a provider in our form; None where it has none.

    >>> usage_of({"input_tokens": 10, "output_tokens": 6})
    {'prompt_tokens': 10, 'completion_tokens': 6, 'total_tokens': 16}
    >>> usage_of({"total_tokens": 9, "total_price": "0.02", "currency": "USD"})
    {'total_tokens': 9, 'price': 0.02, 'currency': 'USD'}
    """
    if not isinstance(given, Mapping):
        return None
    prompt = _first(given, "prompt_tokens", "input_tokens")
    completion = _first(given, "completion_tokens", "output_tokens")
    total = _first(given, "total_tokens")
    if total is None and prompt is not None and completion is not None:
        total = prompt + completion
    counted = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    usage: dict[str, Any] = {name: count for name, count in counted.items() if count is not None}
    if (price := _number(given.get("total_price"))) is not None:
        usage |= {"price": price, "currency": str(given.get("currency") or "")}
    return usage or None


def estimated(question: str, answer: str) -> dict[str, Any]:
    """Counts by the length of the texts, marked as such."""
    counts = usage_of({"prompt_tokens": tokens(question), "completion_tokens": tokens(answer)})
    return {**(counts or {}), "estimated": True}


def completed(usage: Mapping[str, Any], question: str, answer: str) -> dict[str, Any]:
    """All three counts of an answer that a provider counted in part; what does not follow from them is estimated.

    >>> completed({"prompt_tokens": 7, "total_tokens": 9}, "Why?", "So.")
    {'prompt_tokens': 7, 'completion_tokens': 2, 'total_tokens': 9}
    >>> completed({"total_tokens": 9}, "Why?", "Because.")
    {'prompt_tokens': 7, 'completion_tokens': 2, 'total_tokens': 9, 'estimated': True}
    """
    prompt, completion, total = (usage.get(name) for name in NOTHING)
    if completion is None:
        said = tokens(answer)
        completion = said if total is None else max(0, total - prompt) if prompt is not None else min(said, total)
    if prompt is None:
        prompt = tokens(question) if total is None else max(0, total - completion)
    counts = (prompt, completion, prompt + completion if total is None else total)
    is_guess = sum(name in usage for name in NOTHING) < 2
    return {**dict(zip(NOTHING, counts, strict=True)), **usage, **({"estimated": True} if is_guess else {})}


def tokens(text: str) -> int:
    """About how many tokens a text has; right to a third for English and Chinese.

    >>> tokens("How long do you keep the backups?"), tokens("备份保留多久？"), tokens("")
    (9, 7, 0)
    """
    wide = len(_WIDE.findall(text))
    return wide + -int(-(len(text) - wide) // CHARACTERS_A_TOKEN)


def _first(given: Mapping[Any, Any], *names: str) -> int | None:
    return next((int(given[name]) for name in names if _number(given.get(name)) is not None), None)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0 <= number < 1e15 else None
