"""Running speech for the fine-tuning: conversations as pieces, in windows such as the cutter will look at."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tokenizers import Tokenizer

from bench.noise import Noise, heard
from bench.question_data import Row, runs
from pipeline.features import plain
from pipeline.transformer import AT_ONCE

UNKNOWN = -1.0
SHORT = (12, 56)  # pieces of half of the windows; the others go on from there to the most that is read
ASTRAY = 0.15  # share of the windows that begin in the middle of a sentence, as behind a wrong cut
HEARD = 0.25  # share of the sentences that get recognition errors


class Window(NamedTuple):
    """Pieces; of each whether a sentence ends with it, and whether a cut there would leave a question behind it."""

    pieces: list[int]
    ends: list[float]
    asks: list[float]
    source: str


class Running:
    """Conversations that windows are drawn from, each epoch elsewhere."""

    def __init__(
        self, rows: Sequence[Row], tokenizer: Tokenizer, noise: Mapping[str, Noise], chance: random.Random
    ) -> None:
        self._runs, self._noise, self._chance = runs(row for row in rows if plain(row.text)), noise, chance
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_truncation()

    def sources(self) -> Iterator[str]:
        """The source of each character."""
        return (run[0].source for run in self._runs for row in run for _ in row.text)

    def windows(self) -> Iterator[Window]:
        """All that was said, once and a little more."""
        for run in self._runs:
            said, starts = self._labelled(run)
            begin = 0
            while begin < len(said.pieces):
                length = self._chance.randint(*(SHORT if self._chance.random() < 0.5 else (SHORT[1], AT_ONCE)))
                end = begin + length
                yield Window(said.pieces[begin:end], said.ends[begin:end], said.asks[begin:end], said.source)
                begin = len(said.pieces) if end >= len(said.pieces) else self._next(starts, begin, end)

    def _next(self, starts: Sequence[int], begin: int, end: int) -> int:
        if self._chance.random() < ASTRAY:
            return max(begin + 1, end - self._chance.randint(0, 8))
        last = starts[max(0, bisect_left(starts, end + 1) - 1)]
        return last if last > begin + 0.3 * (end - begin) else end

    def _labelled(self, run: Sequence[Row]) -> tuple[Window, list[int]]:
        """A conversation as one window, and where its sentences start."""
        gap = "" if run[0].lang == "zh" else " "
        text, stops = "", list[int]()
        for row in run:
            text += (gap if text else "") + heard(row, self._noise, self._chance, HEARD)
            stops.append(len(text))
        found = self._tokenizer.encode(text, add_special_tokens=False)
        behind = [end for _, end in found.offsets]
        ends = [UNKNOWN if _in_word(text, end) else 0.0 for end in behind]
        asks, starts = [0.0] * len(ends), [0]
        for row, stop in zip(run, stops, strict=True):
            last = min(bisect_left(behind, stop), len(ends) - 1)
            ends[last] = 1.0
            half = (last + 1 - starts[-1]) // 2
            if row.question:  # so does what is cut in its second half, or a little too late
                asks[starts[-1] + half : last + 1 + half] = [1.0] * len(asks[starts[-1] + half : last + 1 + half])
            else:
                asks[starts[-1] + half : last + 1] = [0.0] * (last + 1 - starts[-1] - half)
            starts.append(last + 1)
        return Window(found.ids, ends, asks, run[0].source), starts[:-1]


def _in_word(text: str, at: int) -> bool:
    return at < len(text) and _latin(text[at - 1]) and _latin(text[at])


def _latin(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character == "'")
