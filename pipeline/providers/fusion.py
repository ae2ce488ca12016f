"""Rank fusion: rankings of the same things by different measures in, one ranking out."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item", bound=Hashable)

# How slowly a place loses worth: with 10, place 12 counts half of the first. 60, as first published, ranked alike.
DAMPING = 10


def fused(rankings: Iterable[tuple[float, Sequence[Item]]]) -> dict[Item, float]:
    """Reciprocal rank fusion: things with their scores, best first; a ranking comes with its weight, best first.

    First in every ranking is worth the sum of the weights.

    >>> fused([(1.0, ["a", "b"]), (3.0, ["c", "b"])])  # doctest: +ELLIPSIS
    {'b': 3.66..., 'c': 3.0, 'a': 1.0}
    """
    scores: dict[Item, float] = {}
    for weight, ranking in rankings:
        for place, item in enumerate(ranking):
            scores[item] = scores.get(item, 0.0) + weight * (DAMPING + 1) / (DAMPING + 1 + place)
    return dict(sorted(scores.items(), key=lambda scored: -scored[1]))
