"""Two runs side by side, pure: results matched by the place that they have in the live transcripts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any, Literal, NamedTuple

LIVE = "live"  # instead of a run: what was answered live to the other one, a replay
_HAN = "\u3400-\u9fff\uf900-\ufaff"
_WORDS = re.compile(rf"[{_HAN}]|[^\W{_HAN}]+|\s+|.", re.DOTALL)
_MOST = 3000  # words of a text that are compared one by one
_LEAST = 0.3  # of the longer text that has to be the same: else words that match by chance make a riddle of both

Result = Mapping[str, Any]  # an answer as the API gives it
Key = tuple[str, float, int]
Op = Literal["equal", "delete", "insert"]


class Summary(NamedTuple):
    """One run in figures; seconds are (median, 95th percentile), None where nothing was measured."""

    answers: int
    failed: int
    first_piece: tuple[float, float] | None
    total: tuple[float, float] | None
    usage: dict[str, float]


class Comparison(NamedTuple):
    """What two runs have in common and what not, in the order of the sessions.

    Attributes:
        added: results that only the second has; `dropped`: only the first.
        changed: pairs with another question, status or answer.
        same: how many pairs are equal.
        before, after: the runs in figures.
    """

    added: list[Result]
    dropped: list[Result]
    changed: list[tuple[Result, Result]]
    same: int
    before: Summary
    after: Summary

    @property
    def differs(self) -> bool:
        """Whether anything was asked or answered otherwise."""
        return bool(self.added or self.dropped or self.changed)


def compare(before: Iterable[Result], after: Iterable[Result]) -> Comparison:
    """Match the results of two runs."""
    one, two = _by_place(before), _by_place(after)
    pairs = [(one[key], two[key]) for key in sorted(one.keys() & two.keys())]
    changed = [pair for pair in pairs if _said(pair[0]) != _said(pair[1])]
    added = [two[key] for key in sorted(two.keys() - one.keys())]
    dropped = [one[key] for key in sorted(one.keys() - two.keys())]
    same = len(pairs) - len(changed)
    return Comparison(added, dropped, changed, same, summary(one.values()), summary(two.values()))


def place_in(result: Result) -> str:
    """Where a result stands, for a person: its public id live, or its own."""
    metadata = result["metadata"]
    return str(metadata.get("replay_of") or metadata["question_id"])


def _said(result: Result) -> tuple[Any, ...]:
    return result["question"], result["status"], result["content"], result["error"]


def _by_place(results: Iterable[Result]) -> dict[Key, Result]:
    found: dict[Key, Result] = {}
    others: list[tuple[str, float, int, Result]] = []
    for result in results:
        session, offset, char = _place(place_in(result))
        if result["metadata"].get("replay_of"):
            found[(session, offset, char)] = result
        else:
            others.append((session.rpartition("/")[2], offset, char, result))
    count: Counter[str] = Counter()
    for session, _, _, result in sorted(others, key=lambda entry: entry[:3]):
        found[(session, count[session], -1)] = result
        count[session] += 1
    return found


def _place(public_id: str) -> tuple[str, int, int]:
    session, _, source = public_id.rpartition("/")
    offset, _, char = source.partition(".")
    return session, int(offset), int(char)


def summary(results: Iterable[Result]) -> Summary:
    """One run in figures."""
    found = list(results)
    usage: Counter[str] = Counter()
    for result in found:
        usage.update({name: number for name, number in (result["usage"] or {}).items() if _is_number(number)})
    failed = sum(result["status"] == "failed" for result in found)
    return Summary(len(found), failed, _quantiles(found, "first_piece"), _quantiles(found, "total"), dict(usage))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _quantiles(results: list[Result], name: str) -> tuple[float, float] | None:
    seconds = sorted(t[name] for result in results if (t := result["metadata"].get("timings")) and name in t)
    if not seconds:
        return None
    return seconds[len(seconds) // 2], seconds[min(len(seconds) - 1, round(0.95 * (len(seconds) - 1)))]


def word_diff(before: str, after: str) -> Iterator[tuple[Op, str]]:
    """How one text becomes the other, word by word; Chinese by character. Texts of little in common are not mingled.

    >>> list(word_diff("At ten.", "At half past ten."))
    [('equal', 'At'), ('insert', ' half past'), ('equal', ' ten.')]
    """
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    if max(len(old), len(new)) > _MOST or _common(old, matcher) < _LEAST * max(len(before), len(after)):
        old, new = [before] if before else [], [after] if after else []
        matcher = SequenceMatcher(None, old, new)
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            yield "equal", "".join(old[a:b])
            continue
        if a < b:
            yield "delete", "".join(old[a:b])
        if c < d:
            yield "insert", "".join(new[c:d])


def _common(words: list[str], matcher: SequenceMatcher[str]) -> int:
    """Characters of the words, blanks left out, that are also in the other text."""
    blocks = matcher.get_matching_blocks()
    return sum(len(word.strip()) for at, _, size in blocks for word in words[at : at + size])
