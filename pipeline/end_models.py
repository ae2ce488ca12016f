"""The models that say where speech without marks ends a sentence: `linear`, or `onnx`, its mean with the transformer.

Which of the two a deployment runs is its choice; `onnx` needs the extra of that name.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import NamedTuple, Protocol

from pipeline.endings import RIGHT, Model, Word, default_model
from pipeline.transformer import Transformer, default_transformer

SHARE = 0.5  # of the transformer in the log-odds of both
_IN_PIECE = -20.0  # log-odds of a place within a word of the transformer: Chinese ones have several characters
_CHINESE = range(0x3400, 0xA000)


class Reading(Protocol):
    """What a model makes of words that follow each other."""

    def ends(self, place: int) -> float:
        """Log-odds that a sentence that began with the first word ends behind the first `place` words."""


Reader = Callable[[Sequence[Word]], Reading]


class Lines(NamedTuple):
    """Log-odds of a place. A cut too many costs a question, one too few costs a moment.

    Between words: from `ends` on a sentence ends, below `goes_on` somebody who speaks on is waited for; `joins` are
    added where two chunks meet, as recognisers end a final where somebody paused. At the end of a final chunk: from
    `whole` on the short silence is enough, below `open` it is torn off.
    """

    ends: float
    goes_on: float
    joins: float
    whole: float
    open: float


LINES = {
    "linear": Lines(ends=2.5, goes_on=-0.5, joins=3.0, whole=0.0, open=-3.5),
    "onnx": Lines(ends=1.5, goes_on=0.0, joins=2.5, whole=0.0, open=-3.0),
}
MODELS = tuple(LINES)


class _Linear(NamedTuple):
    model: Model
    heard: Sequence[Word]

    def ends(self, place: int) -> float:
        left, right = self.heard[:place], self.heard[place : place + RIGHT]
        return self.model.gap(left, right) if right else self.model.end(left)


class _Both(NamedTuple):
    linear: _Linear
    transformer: Sequence[float]

    def ends(self, place: int) -> float:
        odds = self.transformer[place - 1]
        return odds if odds == _IN_PIECE else SHARE * odds + (1.0 - SHARE) * self.linear.ends(place)


class _Transformed:
    """The transformer's log-odds behind each word."""

    def __init__(self, model: Transformer) -> None:
        self._model = model
        self.read = lru_cache(maxsize=64)(self._read)  # an interim chunk is often heard twice

    def _read(self, said: tuple[bytes, ...]) -> list[float]:
        text, behind = "", []
        for word in (read.decode("utf-8", "replace") for read in said):
            tight = text and ord(text[-1]) in _CHINESE and ord(word[0]) in _CHINESE
            text += word if tight or not text else f" {word}"
            behind.append(len(text))
        ends, odds = self._model.ends(text)
        found = [bisect_left(ends, place) for place in behind]
        return [odds[at] if ends[at] == place else _IN_PIECE for at, place in zip(found, behind, strict=True)]


@cache
def reader_of(name: str) -> Reader:
    """One of `MODELS`, read once.

    Raises:
        ValueError: there is no such model.
        RagError: it needs the extra `onnx`, which is not installed.
    """
    if name not in MODELS:
        raise ValueError(f"There is no sentence model {name!r}; there are: {', '.join(MODELS)}.")
    linear = default_model()
    if name == "linear":
        return lambda heard: _Linear(linear, heard)
    transformed = _Transformed(default_transformer())
    return lambda heard: _Both(_Linear(linear, heard), transformed.read(tuple(word.read for word in heard)))
