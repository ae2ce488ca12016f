"""What is decided about speech without marks: where a sentence ends in it, and whether what was heard is whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from pipeline.boundaries import looks_whole
from pipeline.endings import RIGHT, Word, default_model, words

# Log-odds between two words. A cut too many costs a question, one too few costs a moment.
ENDS = 2.5
GOES_ON = -1.5  # somebody who speaks on is waited for
# Recognisers end a final where somebody paused, and people pause between sentences.
JOIN_EVIDENCE = 3.0
PAUSE_EVIDENCE = 2.0  # a second of silence, up to one
# Log-odds of the end of a final chunk. They are high: a question in two finals must not be asked as two.
IS_WHOLE = 0.0  # the short silence is enough
IS_OPEN = -3.5
LEAST_LEFT = 2  # words of a sentence that is cut off in the middle of a text
LEAST_RIGHT = 2  # words that must be known behind a place

_MARK = re.compile(r"[,.?!;…](?=\s|$)|[，。？！；、]")
_CLAUSE_END = re.compile(r"[,，、:：]\s*$")
_BLANK = re.compile(r"\s")


class Ending(IntEnum):
    """What the end of the text so far looks like."""

    OPEN = 0
    UNSURE = 1
    WHOLE = 2


class Join(NamedTuple):
    """Where the text of another chunk begins, and the seconds of silence before it.

    `spoken` is false where the chunks follow each other faster than people speak: then it says nothing.
    """

    at: int
    pause: float
    spoken: bool = True


def has_marks(text: str) -> bool:
    """Whether a recogniser that writes marks wrote this.

    >>> has_marks("well, yes"), has_marks("it's 3.5 percent")
    (True, False)
    """
    return bool(_MARK.search(text))


def ending(text: str, punctuated: bool) -> Ending:
    """Judge the end of a text: by its mark; without one by its words, if the session has no marks at all."""
    if looks_whole(text):
        return Ending.WHOLE
    if punctuated or has_marks(text) or _CLAUSE_END.search(text):
        return Ending.OPEN
    heard = words(text)
    if not heard:
        return Ending.UNSURE
    odds = default_model().end(heard)
    if odds >= IS_WHOLE:
        return Ending.WHOLE
    return Ending.UNSURE if odds >= IS_OPEN else Ending.OPEN


def ending_before(text: str, interim: str) -> Ending | None:
    """Judge the end of a text without marks by what is being said after it; None while too little of that is known."""
    heard, right = words(text), words(interim)[:-1]  # the last word of an interim chunk is often heard otherwise later
    if not heard or len(right) < LEAST_RIGHT:
        return None
    odds = default_model().gap(heard, right[:RIGHT]) + JOIN_EVIDENCE
    if odds >= ENDS:
        return Ending.WHOLE
    return Ending.UNSURE if odds >= GOES_ON else Ending.OPEN


def words_end(text: str, joins: Sequence[Join], looked: int) -> tuple[int | None, int]:
    """Where the first sentence of a text without marks ends, and how many of its words need not be looked at again.

    `looked` is what the last call said of the same text when it was shorter.

    >>> words_end("我不知道你是谁", [], 0)[0]
    """
    heard = words(text)
    model = default_model()
    for place in range(max(LEAST_LEFT, looked), len(heard) - LEAST_RIGHT + 1):
        left, right = heard[place - 1], heard[place]
        odds = model.gap(heard[:place], heard[place : place + RIGHT]) + _evidence(left, right, joins)
        if odds >= ENDS:
            blank = _BLANK.search(text, left.end, right.start)
            return (blank.start() if blank else left.end), 0
    return None, max(0, len(heard) - RIGHT)


def _evidence(left: Word, right: Word, joins: Sequence[Join]) -> float:
    for join in joins:
        if left.end <= join.at <= right.start:
            return JOIN_EVIDENCE + PAUSE_EVIDENCE * min(max(join.pause, 0.0), 1.0) if join.spoken else 0.0
    return 0.0
