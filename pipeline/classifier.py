"""The linear question model: reads its artefact, gives the probability that a sentence asks something.

The artefact is one line of JSON, then one signed byte a bucket for each language that the line names.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from math import exp, sqrt
from typing import NamedTuple

import msgspec

from pipeline.features import hashes

ARTEFACT = "questions.bin"


class Table(msgspec.Struct, frozen=True):
    """One language: log-odds of a sentence are `bias + scale * sum(bytes) / sqrt(number of hashes)`.

    `thresholds` are probabilities by profile, chosen on development data.
    """

    bias: float
    scale: float
    thresholds: dict[str, float]


class Header(msgspec.Struct, frozen=True):
    """First line of the artefact: its name and version, the number of buckets (a power of two), the tables in order."""

    model: str
    buckets: int
    tables: dict[str, Table]


class Model(NamedTuple):
    """A loaded artefact."""

    header: Header
    weights: dict[str, memoryview]

    def log_odds(self, sentence: str, chinese: bool) -> float:
        """Calibrated log-odds that a sentence, made `plain`, is a question."""
        lang = "zh" if chinese else "en"
        table, weights, mask = self.header.tables[lang], self.weights[lang], self.header.buckets - 1
        buckets = {found & mask for found in hashes(sentence, chinese)}
        total = sum([weights[bucket] for bucket in buckets])
        return table.bias + table.scale * total / sqrt(len(buckets) or 1)


def read_model(artefact: bytes) -> Model:
    """Read an artefact.

    Raises:
        ValueError: it is not of this format or cut short.
    """
    line, _, rest = artefact.partition(b"\n")
    header = msgspec.json.decode(line, type=Header)
    if len(rest) != header.buckets * len(header.tables):
        raise ValueError(f"The question model is cut short: {len(rest)} bytes of weights; install the package again.")
    whole = memoryview(rest).cast("b")
    parts = {lang: whole[i * header.buckets : (i + 1) * header.buckets] for i, lang in enumerate(header.tables)}
    return Model(header, parts)


@cache
def default_model() -> Model:
    """The model that comes with the package, read once."""
    return read_model(resources.files("pipeline").joinpath("models", ARTEFACT).read_bytes())


def probability(log_odds: float) -> float:
    """Log-odds as a probability.

    >>> probability(0.0), round(probability(-700.0), 3)
    (0.5, 0.0)
    """
    return 1.0 / (1.0 + exp(-max(-60.0, min(60.0, log_odds))))
