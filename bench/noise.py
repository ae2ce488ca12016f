"""Recognition errors as recognisers make them: words that sound alike, lost ones, fillers, lost apostrophes.

All that replaces a word or character is taken from the sentences that are given, so training learns from these alone.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import groupby

from pypinyin import lazy_pinyin

from bench.question_data import Row
from pipeline.features import plain

FILLERS = {"en": ("um", "uh", "like", "well", "so", "yeah"), "zh": ("嗯", "呃", "那个", "就是", "然后", "对")}
_SOUNDS = {
    letter: str(at) for at, letters in enumerate(("bfpv", "cgjkqsxz", "dt", "l", "mn", "r")) for letter in letters
}


def heard(row: Row, noise: Mapping[str, Noise], chance: random.Random, share: float) -> str:
    """The `plain` sentence of a row, in `share` of the cases with errors of its language."""
    text = plain(row.text)
    return noise[row.lang].add(text) if chance.random() < share else text


class Noise:
    """Errors of one language, by chance: each word (character in Chinese) is replaced, lost, or follows a filler.

    Args:
        texts: sentences in lower case without marks, from which what sounds alike is learned.
        lang: `en` or `zh`.
        seed: of the errors.
        replaced: share of the words that are replaced.
        lost: share that is lost; before as many stands a filler.
    """

    def __init__(self, texts: Iterable[str], lang: str, seed: int, replaced: float = 0.06, lost: float = 0.025) -> None:
        self._lang, self._random, self._replaced, self._lost = lang, random.Random(seed), replaced, lost
        self._alike: dict[str, tuple[list[str], list[int]]] = {}
        counts = Counter(word for text in texts for word in self._words(text))
        groups: dict[str, Counter[str]] = defaultdict(Counter)
        for word, count in counts.items():
            groups[self._sound(word)][word] = count
        for group in groups.values():
            for word in group:
                others = {other: count for other, count in group.items() if other != word}
                if others:
                    self._alike[word] = (list(others), list(others.values()))

    def add(self, text: str) -> str:
        """The sentence with errors; never empty unless it was."""
        heard = [piece for word in self._words(text) for piece in self._heard(word)]
        return ("" if self._lang == "zh" else " ").join(heard) or text

    def _heard(self, word: str) -> list[str]:
        chance = self._random.random()
        if chance < self._lost:
            return []
        if chance < 2 * self._lost:
            return [self._random.choice(FILLERS[self._lang]), word]
        if chance < 2 * self._lost + self._replaced and word in self._alike:
            words, weights = self._alike[word]
            return self._random.choices(words, weights)
        if "'" in word and chance > 0.5:
            return [word.replace("'", "")]
        return [word]

    def _words(self, text: str) -> list[str]:
        return list(text) if self._lang == "zh" else text.split()

    def _sound(self, word: str) -> str:
        if self._lang == "zh":
            return str(lazy_pinyin(word)[0])
        classes = (_SOUNDS.get(letter, "") for letter in word.replace("h", "").replace("w", ""))
        return word[:1] + "".join(sound for sound, _ in groupby(classes) if sound)
