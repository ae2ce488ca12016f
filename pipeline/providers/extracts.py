"""Extractive answers: ranked passages in, the few stretches of text that answer out; nothing is written anew."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.providers.index import Hit
from pipeline.providers.units import Unit
from pipeline.providers.words import terms, width

# What is read out or shown beside a live conversation, about 200 words; more is not read.
ANSWER_WIDTH = 1_200
# Stretches are compared at this width, so that others have their room; what is left over in the end widens them.
QUOTE_WIDTH = 360
# How many passages are looked into, and how many of them are quoted at most.
LOOKED_INTO, QUOTED = 4, 3
# A further passage is quoted when it is about as good as the first one.
WORTH_QUOTING = 0.7

_PLACED = 2.0  # how much the place of a passage counts beside the words that its stretch holds, 0 to 1
_HEADED = 0.3  # every stretch below a heading is about what the heading says
_OFTEN = 0.3  # a word that comes again says little new
_START = 0.1  # sections begin with what they are about
_STEPS = 0.2  # a list is understood from its first item on
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
    looked = [_best(hit, weights, min(limit, QUOTE_WIDTH)) for hit in hits[:LOOKED_INTO]]
    ranked = sorted(looked, key=lambda extract: -extract.score)
    chosen: list[Extract] = []
    left = limit
    for extract in ranked:
        size = width(extract.text)
        again = any(extract.text == other.text for other in chosen)
        if not chosen or (size <= left and not again and extract.score >= WORTH_QUOTING * chosen[0].score):
            chosen.append(extract)
            left -= size
        if len(chosen) == QUOTED:
            break
    return _widened(chosen, left)


def _best(hit: Hit, weights: Mapping[str, float], limit: int) -> Extract:
    """The stretch of a passage that answers best; words of its headings are answered by every stretch of it."""
    units = hit.passage.units
    above = set(terms(f"{hit.passage.title} {hit.passage.heading}"))
    worth = {term: weight * (_HEADED if term in above else 1.0) for term, weight in weights.items()}
    held = [(set(terms(unit.text)), set(terms(unit.lead))) for unit in units]
    matches = [_match(unit, own, lead, worth) for unit, (own, lead) in zip(units, held, strict=True)]
    windows = [(low, _reach(units, low, limit)) for low in range(len(units))]

    def score(window: tuple[int, int]) -> float:
        low, high = window
        shown = set[str]().union(*(own | lead for own, lead in held[low:high]))
        told = sum(weight for term, weight in worth.items() if term in shown)
        return told + _OFTEN * sum(matches[low:high]) + _opening(units, low)

    low, high = max(windows, key=lambda window: (score(window), -window[0]))
    shown = above.union(*(own | lead for own, lead in held[low:high]))
    told = sum(weight for term, weight in weights.items() if term in shown) / (sum(weights.values()) or 1)
    low, high = _without_questions(units, low, high)
    return Extract(hit, tuple(units[low:high]), hit.score * (_PLACED + told))


def _widened(chosen: Sequence[Extract], room: int) -> list[Extract]:
    """More of the passages around the stretches, as far as there is room: of the best one first."""
    widened = []
    for extract in chosen:
        wider = _wider(extract, room + width(extract.text))
        room -= width(wider.text) - width(extract.text)
        widened.append(wider)
    return widened


def _wider(extract: Extract, limit: int) -> Extract:
    """While it fits and up to a question: to the end of the passage, then to its beginning; amid a list there first."""
    units = extract.hit.passage.units
    low = units.index(extract.units[0])
    high = low + len(extract.units)
    while True:
        steps = [(low, high + 1, high), (low - 1, high, low - 1)]
        for low_then, high_then, unit in reversed(steps) if _amid_list(units, low) else steps:
            if not 0 <= unit < len(units) or _asks(units[unit]):
                continue
            wider = Extract(extract.hit, tuple(units[low_then:high_then]), extract.score)
            if width(wider.text) <= limit:
                extract, low, high = wider, low_then, high_then
                break
        else:
            return extract


def _match(unit: Unit, own: set[str], lead: set[str], worth: Mapping[str, float]) -> float:
    score = sum(weight * (1.0 if term in own else _LEAD * (term in lead)) for term, weight in worth.items())
    if unit.kind == "code":
        return score * _CODE
    return score * _ASKING if _asks(unit) else score


def _asks(unit: Unit) -> bool:
    return _QUESTION_MARK.search(unit.text) is not None


def _reach(units: Sequence[Unit], low: int, limit: int) -> int:
    """End of the stretch that begins here: as far as it fits, up to the next question, rows of a table alone."""
    used, high, told = width(units[low].lead), low, False
    while high < len(units) and (units[high].kind == "row") == (units[low].kind == "row"):
        used += width(units[high].text)
        asks = _asks(units[high])
        if (used > limit and high > low) or (told and asks):
            break
        told = told or not asks
        high += 1
    return high


def _opening(units: Sequence[Unit], low: int) -> float:
    """What speaks for beginning here: sections open with what they are about, lists with their first item."""
    first_item = units[low].kind == "item" and (low == 0 or units[low - 1].kind != "item")
    introduces = low + 1 < len(units) and units[low + 1].lead == units[low].text
    return _START * (low == 0) + _STEPS * (first_item or introduces)


def _amid_list(units: Sequence[Unit], low: int) -> bool:
    return low > 0 and units[low].kind == units[low - 1].kind == "item"


def _without_questions(units: Sequence[Unit], low: int, high: int) -> tuple[int, int]:
    """Leave out questions at both ends: whoever asks has no use for his question, or for the next one."""
    told = [at for at in range(low, high) if not _asks(units[at])]
    return (told[0], told[-1] + 1) if told else (low, high)


def _between(unit: Unit, following: Unit | None) -> str:
    if following is None:
        return ""
    if unit.kind != "sentence" or following.kind != "sentence":
        return "\n"
    return " " if _LATIN_END.search(unit.text) else ""
