"""The linear question model: reads its artefact, gives the log-odds that a sentence asks something.

The artefact is one line of JSON, then one signed byte a bucket for each language that the line names.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import exp, sqrt
from typing import NamedTuple, Protocol

import msgspec

from pipeline.artefacts import Header, installed, read_weights
from pipeline.features import hashes
from pipeline.grammar import is_only_lead, request_in

ARTEFACT = "questions.bin"
# How much likelier a recogniser writes a question mark behind a question than behind anything else, as log-odds.
MARK_EVIDENCE = 4.5
# Who says "I'd like to know …" wants an answer, though most of the published labels call it a statement.
REQUEST_EVIDENCE = 2.0
# "那么" alone is a pause after a first word; to a model that reads characters it ends like "来么".
LEAD_EVIDENCE = -4.0


class Table(msgspec.Struct, frozen=True):
    """One language: log-odds of a sentence are `bias + scale * sum(bytes) / sqrt(number of hashes)`, and its evidence.

    `thresholds` are probabilities by profile, chosen on development data.
    """

    bias: float
    scale: float
    thresholds: dict[str, float]


class Classifier(Protocol):
    """What judges sentences, made `plain`."""

    @property
    def name(self) -> str:
        """Name and version, which stand in verdicts."""

    @property
    def tables(self) -> Mapping[str, Table]:
        """By language; the thresholds of the profiles stand here."""

    def log_odds(self, sentence: str, chinese: bool, marked: bool = False) -> float:
        """Calibrated log-odds that a sentence is a question; `marked` if a question mark stood in it."""


class Model(NamedTuple):
    """A loaded artefact."""

    header: Header[Table]
    weights: dict[str, memoryview]

    @property
    def name(self) -> str:
        """Name and version."""
        return self.header.model

    @property
    def tables(self) -> Mapping[str, Table]:
        """By language."""
        return self.header.tables

    def log_odds(self, sentence: str, chinese: bool, marked: bool = False) -> float:
        """Calibrated log-odds that a sentence is a question."""
        lang = "zh" if chinese else "en"
        table, weights, mask = self.header.tables[lang], self.weights[lang], self.header.buckets[lang] - 1
        buckets = {found & mask for found in hashes(sentence, chinese)}
        total = sum([weights[bucket] for bucket in buckets])
        return table.bias + table.scale * total / sqrt(len(buckets) or 1) + evidence(sentence, chinese, marked)


def evidence(sentence: str, chinese: bool, marked: bool) -> float:
    """Log-odds of what no training data shows: a question mark, "I'd like to know", nothing but a lead."""
    found = MARK_EVIDENCE * marked + REQUEST_EVIDENCE * bool(request_in(sentence, chinese))
    return found + LEAD_EVIDENCE * (chinese and is_only_lead(sentence))


def read_model(artefact: bytes) -> Model:
    """Read an artefact.

    Raises:
        ValueError: it is not of this format or cut short.
    """
    return Model(*read_weights(artefact, Header[Table]))


@cache
def default_model() -> Model:
    """The model that comes with the package, read once."""
    return read_model(installed(ARTEFACT))


def probability(log_odds: float) -> float:
    """Log-odds as a probability.

    >>> probability(0.0), round(probability(-700.0), 3)
    (0.5, 0.0)
    """
    return 1.0 / (1.0 + exp(-max(-60.0, min(60.0, log_odds))))
