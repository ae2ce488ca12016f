"""What is decided about speech without marks: where a sentence ends in it, and whether what was heard is whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum

from pipeline.boundaries import looks_whole
from pipeline.end_models import LINES, reader_of
from pipeline.endings import RIGHT, words
from pipeline.pauses import Pause, evidence, of_silence

LEAST_LEFT = 2  # words of a sentence that is cut off in the middle of a text
LEAST_RIGHT = 2  # words that must be known behind a place
LEAST_SAID = 1  # words of an interim chunk

_MARK = re.compile(r"[,.?!;…](?=\s|$)|[，。？！；、]")
_CLAUSE_END = re.compile(r"[,，、:：]\s*$")
_BLANK = re.compile(r"\s")


class Ending(IntEnum):
    """What the end of the text so far looks like."""

    OPEN = 0
    UNSURE = 1
    WHOLE = 2


def has_marks(text: str) -> bool:
    """Whether a recogniser that writes marks wrote this.

    >>> has_marks("well, yes"), has_marks("it's 3.5 percent")
    (True, False)
    """
    return bool(_MARK.search(text))


def ending(text: str, punctuated: bool, model: str = "linear") -> Ending:
    """Judge the end of a text: by its mark; without one by its words, if the session has no marks at all."""
    if looks_whole(text):
        return Ending.WHOLE
    if punctuated or has_marks(text) or _CLAUSE_END.search(text):
        return Ending.OPEN
    heard = words(text)
    if not heard:
        return Ending.UNSURE
    lines = LINES[model]
    return _ending(reader_of(model)(heard).ends(len(heard)), lines.whole, lines.open)


def ending_before(text: str, interim: str, silence: float, model: str = "linear") -> Ending | None:
    """Judge the end of a text without marks by what is being said after it, and after how many seconds of silence.

    None while too little of that is known.
    """
    heard, right = words(text), words(interim)[:-1]  # the last word of an interim chunk is often heard otherwise later
    if not heard or len(right) < LEAST_SAID:
        return None
    lines = LINES[model]
    odds = reader_of(model)([*heard, *right[:RIGHT]]).ends(len(heard)) + lines.joins + of_silence(silence)
    return _ending(odds, lines.ends, lines.goes_on)


def _ending(odds: float, whole: float, open_: float) -> Ending:
    if odds >= whole:
        return Ending.WHOLE
    return Ending.UNSURE if odds >= open_ else Ending.OPEN


def words_end(text: str, known: Sequence[Pause], looked: int, model: str = "linear") -> tuple[int | None, int]:
    """Where the first sentence of a text without marks ends, and how many of its words need not be looked at again.

    `looked` is what the last call said of the same text when it was shorter.

    >>> words_end("我不知道你是谁", [], 0)[0]
    """
    heard, lines = words(text), LINES[model]
    places = range(max(LEAST_LEFT, looked), len(heard) - LEAST_RIGHT + 1)
    if not places:
        return None, max(0, len(heard) - RIGHT)
    reading = reader_of(model)(heard)
    for place in places:
        left, right = heard[place - 1], heard[place]
        if reading.ends(place) + evidence(known, left.end, right.start, lines.joins) >= lines.ends:
            blank = _BLANK.search(text, left.end, right.start)
            return (blank.start() if blank else left.end), 0
    return None, max(0, len(heard) - RIGHT)
