"""Meanings of passages: vectors out of the index in, the passages nearest to a question out; needs numpy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.providers.index import Place
from pipeline.providers.knowledge import Passage

# Rows of length 1, so that the product of two is the cosine of the angle between them.
Vectors = NDArray[np.float32]


class Encoder(Protocol):
    """Makes vectors of texts: of passages when they are indexed, of each question when it is asked."""

    @property
    def name(self) -> str:
        """Of the model, and of how texts are cut for it; the index keeps it, and vectors of another are made anew."""

    @property
    def floors(self) -> Mapping[str, float]:
        """By language of the question (`en`, `zh`): the least similarity of a passage that is about it."""

    def passages(self, found: Sequence[Passage]) -> Vectors:
        """One row a passage."""

    def question(self, text: str) -> Vectors:
        """One row, alone: an array of one dimension."""


class Meanings:
    """The vectors of an index, in memory: four bytes a number."""

    def __init__(self, places: Sequence[Place], rows: Vectors) -> None:
        """Take the rows, and where in the index the passage of each stands."""
        self._places, self._rows = places, rows

    @classmethod
    def read(cls, stored: Iterable[tuple[Place, bytes | None]]) -> Self | None:
        """Unpack what `packed` wrote; passages without a vector are never near, and None has any."""
        held = [(place, data) for place, data in stored if data]
        if not held:
            return None
        rows = np.frombuffer(b"".join(data for _, data in held), np.float16).reshape(len(held), -1)
        return cls([place for place, _ in held], rows.astype(np.float32))

    def nearest(self, question: Vectors, limit: int) -> dict[Place, float]:
        """Passages with their similarity (-1 to 1), the nearest first."""
        similar = self._rows @ question
        order = np.argsort(-similar, kind="stable")[:limit]
        return {self._places[row]: float(similar[row]) for row in order}


def packed(vector: Vectors) -> bytes:
    """A row as the index keeps it: in half precision, which changes no ranking."""
    return vector.astype(np.float16).tobytes()
