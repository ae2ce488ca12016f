"""Extractive answers: ranked passages in, the few stretches of text that answer out; nothing is written anew."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.providers.index import Hit
from pipeline.providers.knowledge import Passage
from pipeline.providers.units import Unit
from pipeline.providers.words import terms, width

# What is read out or shown beside a live conversation; more is not read.
ANSWER_WIDTH = 480
# How many passages are looked into, and how many of them are quoted at most.
LOOKED_INTO, QUOTED = 4, 3
# A further passage is quoted when it is about as good as the first one.
WORTH_QUOTING = 0.7

_NEIGHBOURS = 0.3  # what stands beside a sentence that matches often is the answer
_LEAD = 0.5
_ASKING = 0.4  # a record of a conversation holds the question too; the answer is what follows it
_CODE = 0.6  # the sentence about it is the better answer
_QUESTION_MARK = re.compile(r"[?？][\"'”’」）)]*\s*$")
_LATIN_END = re.compile(r"[\x21-\x7e]$")


@dataclass(frozen=True, slots=True)
class Extract:
    """Neighbouring units of one passage, word for word; lines count from 1."""

    hit: Hit
    units: tuple[Unit, ...]
    score: float

    @property
    def first(self) -> int:
        """First line in the file."""
        return self.units[0].first

    @property
    def last(self) -> int:
        """Last line in the file."""
        return max(unit.last for unit in self.units)

    def pieces(self) -> Iterator[str]:
        """The text, sentence by sentence; joined they are the whole."""
        lead = self.units[0].lead
        if lead:
            yield lead + "\n"
        for unit, following in zip(self.units, [*self.units[1:], None], strict=True):
            text = f"- {unit.text}" if unit.kind == "item" and not re.match(r"\d+\. ", unit.text) else unit.text
            yield text + _between(unit, following)

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces())


def extracts(hits: Sequence[Hit], weights: Mapping[str, float], limit: int = ANSWER_WIDTH) -> list[Extract]:
    """The stretches that say most about the question, best first, together about `limit` columns wide.

    `weights` are the question's terms with their rarity, as the index gives them.
    """
    looked = [_best(hit, weights, limit) for hit in hits[:LOOKED_INTO]]
    ranked = sorted(looked, key=lambda extract: -extract.score)
    chosen: list[Extract] = []
    left = limit
    for extract in ranked:
        size = width(extract.text)
        again = any(extract.text == other.text for other in chosen)
        if not chosen or (size <= left and not again and extract.score >= WORTH_QUOTING * chosen[0].score):
            chosen.append(extract)
            left -= size
    return chosen[:QUOTED]


def _best(hit: Hit, weights: Mapping[str, float], limit: int) -> Extract:
    units = hit.passage.units
    matches = [_match(unit, weights) for unit in units]
    scores = [
        own + _NEIGHBOURS * _mean(matches[max(at - 1, 0) : at] + matches[at + 1 : at + 2])
        for at, own in enumerate(matches)
    ]
    seed = max(range(len(units)), key=lambda at: (scores[at], -at))
    low, high = _grow(hit.passage, seed, scores, limit)
    held = {term for unit in units[low:high] for term in terms(f"{unit.lead} {unit.text}")}
    shown = sum(weight for term, weight in weights.items() if term in held) / (sum(weights.values()) or 1)
    low, high = _without_questions(units, low, high)
    return Extract(hit, tuple(units[low:high]), hit.score * (0.5 + shown))


def _match(unit: Unit, weights: Mapping[str, float]) -> float:
    own = set(terms(unit.text))
    lead = set(terms(unit.lead)) - own
    score = sum(weight * (1.0 if term in own else _LEAD * (term in lead)) for term, weight in weights.items())
    if unit.kind == "code":
        return score * _CODE
    return score * _ASKING if _QUESTION_MARK.search(unit.text) else score


def _grow(passage: Passage, seed: int, scores: Sequence[float], limit: int) -> tuple[int, int]:
    """Widen from the best unit to its better neighbour, while both sides fit; a list goes on below its intro."""
    units = passage.units
    low, high = seed, seed + 1
    used = width(units[seed].lead) + width(units[seed].text)
    while True:
        options = [at for at in (high, low - 1) if 0 <= at < len(units) and _belongs(units, seed, low, high, at)]
        options = [at for at in options if used + width(units[at].text) <= limit]
        if not options:
            return low, high
        at = max(options, key=lambda at: (units[at].lead == units[seed].text, scores[at], at == high))
        used += width(units[at].text)
        low, high = min(low, at), max(high, at + 1)


def _without_questions(units: Sequence[Unit], low: int, high: int) -> tuple[int, int]:
    """Leave out questions at both ends: whoever asks has no use for his question, or for the next one."""
    told = [at for at in range(low, high) if not _QUESTION_MARK.search(units[at].text)]
    return (told[0], told[-1] + 1) if told else (low, high)


def _belongs(units: Sequence[Unit], seed: int, low: int, high: int, at: int) -> bool:
    """Whether a unit may be quoted together with the seed: rows alone, items with their list, no step backwards."""
    unit, best = units[at], units[seed]
    if best.kind == "row" or unit.kind == "row":
        return unit.kind == best.kind
    if best.kind == "item":
        return unit.kind in ("item", "code") and (unit.lead == best.lead or unit.lead in best.text)
    asks = _QUESTION_MARK.search(best.text) is not None
    return at >= high or (not asks and unit.kind == "sentence")


def _between(unit: Unit, following: Unit | None) -> str:
    if following is None:
        return ""
    if unit.kind != "sentence" or following.kind != "sentence":
        return "\n"
    return " " if _LATIN_END.search(unit.text) else ""


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
