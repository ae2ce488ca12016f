"""Labelled sentences for the question model and the figures by which it is judged; shared by training and benchmark."""

from __future__ import annotations

import gzip
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import msgspec

FEW = 20  # sources with fewer questions do not count for the mean F1
# Meetings of which parts are the transcripts that `bench.sentences` measures with: nothing is learned from them.
MEASURED = ("_21_0", "_146_2", "_86_3", "_0_3", "_208_8", "_208_9", "_208_10", "_110_0")


class Row(msgspec.Struct, frozen=True):
    """A sentence in its place `idx` in a conversation, and whether it asks something."""

    text: str
    lang: str
    question: bool
    source: str
    conv: str | int
    clean: str = ""
    idx: int = 0


class Figures(NamedTuple):
    """Mean F1 and average precision over sources, false triggers in 1,000 non-questions, and F1 by source."""

    f1: float
    average_precision: float
    false_triggers: float
    by_source: dict[str, float]


def read(folder: Path, name: str) -> list[Row]:
    """Rows of one gzipped JSON-lines file; if it is not there, say so and end the program with 2."""
    path = folder / name
    if not path.is_file():
        print(f"{path} is missing. Give the folder of the question data with --data.", file=sys.stderr)
        raise SystemExit(2)
    decoder = msgspec.json.Decoder(Row)
    with gzip.open(path) as lines:
        return [decoder.decode(line) for line in lines]


def read_lessons(folder: Path, name: str) -> list[Row]:
    """Rows of a file without the meetings that are measured with: what may be learned from."""
    return [row for row in read(folder, name) if row.source != "vcsum" or not str(row.conv).endswith(MEASURED)]


def runs(rows: Iterable[Row]) -> list[list[Row]]:
    """Sentences that follow each other in a conversation, the conversations in the order of their names."""
    ordered = enumerate(sorted(rows, key=lambda row: (row.source, str(row.conv), row.idx)))
    grouped = groupby(
        ordered, key=lambda numbered: (numbered[1].source, numbered[1].conv, numbered[1].idx - numbered[0])
    )
    return [[row for _, row in run] for _, run in grouped]


def figures(rows: Sequence[Row], scores: Sequence[float], threshold: float) -> Figures:
    """Figures of one language at one threshold."""
    by_source: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for row, score in zip(rows, scores, strict=True):
        by_source[row.source].append((score, row.question))
    calm = [score for row, score in zip(rows, scores, strict=True) if not row.question]
    counted = {name: pairs for name, pairs in sorted(by_source.items()) if sum(asks for _, asks in pairs) >= FEW}
    f1 = {name: _f1(pairs, threshold) for name, pairs in counted.items()}
    return Figures(
        _mean(f1.values()),
        _mean(average_precision(pairs) for pairs in counted.values()),
        1000 * sum(score >= threshold for score in calm) / max(1, len(calm)),
        f1,
    )


def precision_recall(pairs: Iterable[tuple[float, bool]], threshold: float) -> tuple[float, float]:
    """Precision and recall of (score, asks) pairs at a threshold."""
    pairs = list(pairs)
    hits = sum(asks for score, asks in pairs if score >= threshold)
    called = sum(score >= threshold for score, _ in pairs)
    return hits / max(1, called), hits / max(1, sum(asks for _, asks in pairs))


def average_precision(pairs: Iterable[tuple[float, bool]]) -> float:
    """Area under the precision-recall steps; equal scores are one step."""
    by_score: dict[float, list[bool]] = defaultdict(list)
    for score, asks in pairs:
        by_score[score].append(asks)
    called = hits = 0
    area = 0.0
    for score in sorted(by_score, reverse=True):
        found = sum(by_score[score])
        called, hits = called + len(by_score[score]), hits + found
        area += found * hits / called
    return area / hits if hits else 0.0


def calibration_error(pairs: Iterable[tuple[float, bool]]) -> float:
    """How far scores are from the share of questions among those of like score, in ten steps, on the mean."""
    steps: dict[int, list[float]] = defaultdict(list)
    for score, asks in pairs:
        steps[min(9, int(10 * score))].append(score - asks)
    return sum(abs(sum(step)) for step in steps.values()) / max(1, sum(map(len, steps.values())))


def highest_good_threshold(worth: Callable[[float], float], give: float) -> float:
    """The highest threshold, in hundredths, that is worth at most `give` less than the best."""
    values = [(worth(hundredth / 100), hundredth / 100) for hundredth in range(2, 99)]
    top = max(value for value, _ in values)
    return max(threshold for value, threshold in values if value >= top - give)


def _f1(pairs: list[tuple[float, bool]], threshold: float) -> float:
    precision, recall = precision_recall(pairs, threshold)
    return 2 * precision * recall / max(1e-9, precision + recall)


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / max(1, len(values))
