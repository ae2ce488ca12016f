"""Chooses the fixed thresholds of the profiles on development rows; shared by the training of all models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.question_data import Row, figures, highest_good_threshold, precision_recall, read
from pipeline.classifier import Classifier, probability
from pipeline.features import plain

STRICT = 0.92  # precision; somewhat more than the 0.9 that is promised of unseen speech
GIVE = 0.003  # mean F1 given away for fewer false triggers


class Development(NamedTuple):
    """Rows of one language, and rows with recognition errors."""

    clean: list[Row]
    noisy: list[Row]


def read_development(data: Path, lang: str) -> Development:
    """The development rows of a language out of the folder of the question data."""
    clean, noisy = read(data, "dev.jsonl.gz"), read(data, "dev_noisy.jsonl.gz")
    return Development([row for row in clean if row.lang == lang], [row for row in noisy if row.lang == lang])


def profile_thresholds(model: Classifier, development: Development) -> dict[str, float]:
    """Fixed probabilities of the profiles for one language.

    balanced: the highest that costs next to none of the best mean F1 over sources, rows heard well and noisy ones
    counting alike; eager: the best where recall counts double; strict: the lowest with that precision from there on.
    """
    clean, noisy = (scores(model, rows) for rows in development)
    pairs = [(score, row.question) for score, row in zip(clean, development.clean, strict=True)]

    def mean_f1(threshold: float) -> float:
        heard = figures(development.noisy, noisy, threshold).f1
        return (figures(development.clean, clean, threshold).f1 + heard) / 2

    def recall_first(threshold: float) -> float:
        precision, recall = precision_recall(pairs, threshold)
        return 5 * precision * recall / max(1e-9, 4 * precision + recall)

    loose = [step / 100 for step in range(2, 99) if precision_recall(pairs, step / 100)[0] < STRICT]
    balanced = highest_good_threshold(mean_f1, GIVE)
    return {
        "eager": min(highest_good_threshold(recall_first, 0.0), balanced),
        "balanced": balanced,
        "strict": max(balanced, round(max(loose, default=0.0) + 0.01, 2)),
    }


def scores(model: Classifier, rows: Sequence[Row]) -> list[float]:
    """The probability of each row."""
    return [probability(model.log_odds(plain(row.text), row.lang == "zh")) for row in rows]
