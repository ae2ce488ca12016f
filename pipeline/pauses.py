"""What record times say of the silences in speech: where chunks meet, and between the words of one that grew.

A recogniser hears a segment in interim chunks before it is final. The time from one to the next, less that of speaking
what came, is silence; where several words came at once nobody knows before which of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import log
from typing import NamedTuple

from pipeline.features import letters

_PER_SECOND = 14.0  # characters that people speak in a second; a Chinese one counts for three
_MOST = 256  # interim chunks of a segment that are listened to
# Log-odds that a sentence ends before a word that came after so many seconds of silence. In the aligned transcripts of
# two earnings calls 0.3 s and more stand before 7 to 8 of 10 sentences, and before 1 of 10 other words.
_NONE, _EACH, _LONG = -1.0, 6.0, 3.0
_SHORT = 0.15  # seconds that are no silence


class Growth(NamedTuple):
    """How a segment was heard so far: how many letters at which record time; `offset` is of its first chunk."""

    offset: int
    segment: str | None
    steps: tuple[tuple[int, float], ...]


class Spoken(NamedTuple):
    """A part of the open sentence: its text from character `at` on of the whole, and when its chunk came.

    `before` letters of the chunk stand before it.
    """

    text: str
    at: int
    came: float
    before: int = 0
    growth: Growth | None = None


class Pause(NamedTuple):
    """Seconds of silence at one of `places` from character `begin` on and before `end`; `meets`: of two chunks."""

    begin: int
    end: int
    seconds: float
    places: int = 1
    meets: bool = False


def grow(growth: Growth | None, offset: int, segment: str | None, text: str, at: float) -> Growth:
    """Hear an interim chunk of a segment; one that names another, or has lost half of the letters, is a new one.

    >>> grow(grow(None, 7, "s1", "so how", 1.0), 8, "s1", "so how much", 1.5).steps
    ((5, 1.0), (9, 1.5))
    """
    count = letters(text)
    if growth is None or growth.segment != segment or 2 * count < growth.steps[-1][0]:
        return Growth(offset, segment, ((count, at),))
    if count <= growth.steps[-1][0] or len(growth.steps) >= _MOST:
        return growth
    return growth._replace(steps=(*growth.steps, (count, at)))


def pauses(parts: Sequence[Spoken]) -> list[Pause]:
    """All that is known of the silences of an open sentence; nothing where chunks come faster than people speak.

    >>> [(pause.begin, round(pause.seconds, 1)) for pause in pauses([Spoken("one two", 0, 1.0), Spoken("six", 8, 2.0)])]
    [(8, 0.8)]
    """
    found = [pause for part in parts for pause in _within(part)]
    for one, two in pairwise(parts):
        came, text = two.came, two.text
        if two.growth and two.before < two.growth.steps[0][0]:
            count, came = two.growth.steps[0]
            text = text[: _behind(text, [count - two.before])[0]]
        if (silence := _silence(came - one.came, text)) is not None:
            found.append(Pause(two.at, two.at, silence, meets=True))
    return found


def _within(part: Spoken) -> Iterator[Pause]:
    """The silences between the words of a chunk."""
    if part.growth is None:
        return
    steps = [(count - part.before, at) for count, at in part.growth.steps if count > part.before]
    places = _behind(part.text, [count for count, _ in steps])
    for (begin, end), ((_, since), (_, until)) in zip(pairwise(places), pairwise(steps), strict=True):
        said = part.text[begin:end]
        if said and (silence := _silence(until - since, said)) is not None:
            words = len(said.split()) if said.isascii() else len(said)
            yield Pause(part.at + begin, part.at + end, silence, max(1, words))


def evidence(known: Sequence[Pause], begin: int, end: int, meeting: float) -> float:
    """Log-odds that a sentence ends in a gap between two words, from character `begin` to `end`, by the silence there.

    `meeting` is what it says by itself that two chunks meet there.
    """
    odds = 0.0
    for pause in known:
        if pause.meets and begin <= pause.begin <= end:
            return meeting + of_silence(pause.seconds)
        if not pause.meets and pause.begin <= end and begin < pause.end:
            odds = of_silence(pause.seconds) - (log(pause.places) if pause.seconds > _SHORT else 0.0)
    return odds


def of_silence(seconds: float) -> float:
    """Log-odds that a sentence ends before a word that comes after so many seconds of silence."""
    return min(_NONE + _EACH * max(seconds, 0.0), _LONG)


def before(final_at: float, text: str, at: float) -> float:
    """Seconds of silence between a final chunk and the first interim one behind it."""
    return at - final_at - _seconds(text)


def _behind(text: str, counts: Sequence[int]) -> list[int]:
    """The characters behind so many letters, each at least one."""
    ends = [at for at, character in enumerate(text, 1) if character.isalnum()]
    return [ends[count - 1] if count <= len(ends) else len(text) for count in counts]


def _silence(passed: float, text: str) -> float | None:
    """Seconds that passed less those of speaking a text; None if nobody can have spoken it in them."""
    spoken = _seconds(text)
    return passed - spoken if 2 * passed > spoken else None


def _seconds(text: str) -> float:
    return sum(1 if character.isascii() else 3 for character in text) / _PER_SECOND
