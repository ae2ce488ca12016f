"""Where speech without marks ends a sentence: a small linear model of the words around a place; same for all languages.

The artefact is one line of JSON, then one signed byte a bucket for each of its two tables: `gap` judges a place between
words, `end` the end of what was heard so far.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple
from zlib import crc32

import msgspec

from pipeline.artefacts import Header, installed, read_weights
from pipeline.features import FILLERS
from pipeline.grammar import word_class

ARTEFACT = "sentences.bin"
LEFT, RIGHT = 6, 4  # words before and after a place that decide about it
_TOKEN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]|[^\W\u3400-\u9fff\uf900-\ufaff]+(?:['’.-][^\W\u3400-\u9fff]+)*")
_NUMBER = re.compile(r"\d+")
_FILLERS = frozenset(filler.encode() for filler in FILLERS)


class Word(NamedTuple):
    """A word, or a Chinese character, as the model reads it; `end` is the place behind it in its text.

    `kind` is the class of an English word, empty for all others.
    """

    read: bytes
    start: int
    end: int
    kind: bytes


class Table(msgspec.Struct, frozen=True):
    """Log-odds are `bias + scale * sum(bytes)`."""

    bias: float
    scale: float


class Model(NamedTuple):
    """A loaded artefact."""

    header: Header[Table]
    weights: dict[str, memoryview]

    def gap(self, left: Sequence[Word], right: Sequence[Word]) -> float:
        """Log-odds that a sentence of the words `left` ends before the words `right`; both not empty."""
        return self._log_odds("gap", hashes(left, right))

    def end(self, left: Sequence[Word]) -> float:
        """Log-odds that the words `left`, which are not empty, are a whole sentence."""
        return self._log_odds("end", hashes(left, ()))

    def _log_odds(self, name: str, found: list[int]) -> float:
        table, weights, mask = self.header.tables[name], self.weights[name], self.header.buckets[name] - 1
        return table.bias + table.scale * sum([weights[value & mask] for value in found])


def words(text: str) -> list[Word]:
    """The words of a text, Chinese by character; marks are passed over.

    >>> [word.read.decode() for word in words("So, 退款 costs $3.50?")]
    ['so', '退', '款', 'costs', '0.0']
    """
    return [_word(found) for found in _TOKEN.finditer(text)]


def _word(found: re.Match[str]) -> Word:
    read = _NUMBER.sub("0", found[0].lower())
    kind = word_class(read) if read.isascii() else ""
    return Word(read.encode("utf-8", "surrogatepass"), found.start(), found.end(), kind.encode())


def hashes(left: Sequence[Word], right: Sequence[Word]) -> list[int]:
    """Hashes of what is read of a place: n-grams on both sides and across, how the sentence begins, how long it is."""
    before = [word.read for word in left[-LEFT:]]
    after = [word.read for word in right[:RIGHT]]
    size = b"L%d" % _rounded(len(left))
    first, last = left[0].read, before[-1]
    opening = b" ".join(word.read for word in left[:2])
    found = [size, b"s%b|%b" % (first, last), size + first, size + last, b"o%b|%b" % (opening, last)]
    found += [b"<" + b" ".join(before[-count:]) for count in range(1, len(before) + 1)]
    if len(left) <= LEFT:
        found.append(b"=" + b" ".join(before))
    if after:
        found += [b">" + b" ".join(after[:count]) for count in range(1, len(after) + 1)]
        found += [
            b"%b|%b" % (b" ".join(before[-one:]), b" ".join(after[:two])) for one in (1, 2, 3) for two in (1, 2, 3)
        ]
        found += [b"f%b|%b" % (first, after[0]), size + b">" + after[0]]
    return [crc32(feature) for feature in {*found, *_built(left, right[:RIGHT])}]


def _built(left: Sequence[Word], right: Sequence[Word]) -> list[bytes]:
    """How English around a place is built: "we met | how did you" is x x | WH AUX PRO, as other such ends are."""
    found = _build_before(left) if left[-1].kind else []
    if right and right[0].kind:
        found += _build_after(right)
        before, after = [word.kind for word in left[-2:]], [word.kind for word in right]
        found += [b"C%b|%b" % (b" ".join(before[-one:]), b" ".join(after[:two])) for one in (1, 2) for two in (1, 2, 3)]
        found += [
            b"X%b|%b" % (left[-1].read, b" ".join(after[:2])), b"Y%b|%b" % (b" ".join(before), right[0].read),
            b"O%b|>%b" % (_opening(left), after[0]),
        ]  # fmt: skip
    return found


def _build_before(left: Sequence[Word]) -> list[bytes]:
    kinds, opening = [word.kind for word in left[-3:]], _opening(left)
    found = [b"C<" + b" ".join(kinds[-count:]) for count in range(1, len(kinds) + 1)]
    return [*found, b"O%b|%b" % (opening, kinds[-1]), b"O%b|%d" % (opening, _rounded(len(left)))]


def _build_after(right: Sequence[Word]) -> list[bytes]:
    words, kinds = [word.read for word in right], [word.kind for word in right]
    found = [b"C>" + b" ".join(kinds[:count]) for count in range(1, len(kinds) + 1)]
    found += [b"m>%b %b" % (words[0], b" ".join(kinds[1:count])) for count in range(2, min(len(kinds), 3) + 1)]
    if lead := _lead(right):
        found += [b"F>" + b" ".join(kinds[lead : lead + 2]), b"f>" + b" ".join(words[lead : lead + 2])]
    return found


def _opening(left: Sequence[Word]) -> bytes:
    lead = _lead(left[:5])
    return b" ".join(word.kind for word in left[lead : lead + 2])


def _lead(said: Sequence[Word]) -> int:
    """How many fillers stand before the rest, which has one word or more."""
    return next((at for at, word in enumerate(said[:-1]) if word.read not in _FILLERS), len(said) - 1)


def _rounded(count: int) -> int:
    return count if count < 6 else max(step for step in (6, 8, 11, 15, 20, 30, 45) if step <= count)


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
