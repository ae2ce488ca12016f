"""The models that a deployment can choose from; `cascade` asks the transformer where the linear model is unsure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

from pipeline.classifier import Classifier, Table, default_model, probability
from pipeline.transformer import Card, default_transformer

MODELS = ("linear", "onnx", "cascade")
UNSURE = 1.5  # log-odds; one sentence in nine is so near to the threshold, and half of the mistakes are among these


class Cascade:
    """Log-odds of the linear model where it is sure, else mixed with those of the transformer."""

    def __init__(self, first: Classifier, second: Classifier, card: Card) -> None:
        self._first, self._second, self._card = first, second, card

    @property
    def name(self) -> str:
        """Both names."""
        return f"{self._first.name}+{self._second.name}"

    @property
    def tables(self) -> Mapping[str, Table]:
        """By language."""
        return self._card.cascade

    def log_odds(self, sentence: str, chinese: bool, marked: bool = False) -> float:
        """Calibrated log-odds that a sentence is a question."""
        odds = self._first.log_odds(sentence, chinese, marked)
        low, high = self._card.unsure
        if not low < probability(odds) < high:
            return odds
        share = self._card.share["zh" if chinese else "en"]
        return odds + share * (self._second.log_odds(sentence, chinese, marked) - odds)


def is_unsure(score: float, threshold: float) -> bool:
    """Whether a probability is near to the one from which on a sentence is asked.

    >>> is_unsure(0.3, 0.41), is_unsure(0.05, 0.41), is_unsure(0.99, 0.41)
    (True, False, False)
    """
    return abs(_log_odds(score) - _log_odds(threshold)) < UNSURE


def _log_odds(probability: float) -> float:
    bounded = min(max(probability, 1e-9), 1 - 1e-9)
    return math.log(bounded / (1 - bounded))


@cache
def model_of(name: str) -> Classifier:
    """One of `MODELS`, read once.

    Raises:
        ValueError: there is no such model.
        RagError: it needs the extra `onnx`, which is not installed.
    """
    if name == "linear":
        return default_model()
    if name not in MODELS:
        raise ValueError(f"There is no question model {name!r}; there are: {', '.join(MODELS)}.")
    transformer = default_transformer()
    return transformer if name == "onnx" else Cascade(default_model(), transformer, transformer.card)
