"""A segment that is heard again, better: recognisers send a final chunk and a moment later its corrected form."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from pipeline.endings import words
from pipeline.features import letters


class Spoken(Protocol):
    """What must be known of a chunk."""

    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def segment(self) -> str | None: ...  # noqa: D102
    @property
    def speaker(self) -> str | None: ...  # noqa: D102


def revises(old: Spoken, new: Spoken) -> bool:
    """Whether a chunk replaces the one before it: it names the same segment and holds half of its words or more.

    The words count because there are clients that name all they say the same segment.
    """
    if old.segment is None or old.segment != new.segment or old.speaker != new.speaker:
        return False
    return holds_half(old.text, new.text)


def holds_half(old: str, new: str) -> bool:
    """Whether half of the words of a text, or more, are in another one.

    >>> holds_half("how much is it", "well, how much was it?"), holds_half("how much is it", "it was fine")
    (True, False)
    """
    before, after = (Counter(word.read for word in words(text)) for text in (old, new))
    return 2 * (before & after).total() >= before.total() > 0


def behind(old: Spoken, start: int, new: Spoken) -> int:
    """Where in the corrected chunk stands what begins at `start` in the old one: behind as many letters and digits."""
    said = letters(old.text[:start])
    if not said:
        return 0
    for place, character in enumerate(new.text):
        said -= character.isalnum()
        if not said:
            while place + 1 < len(new.text) and not (new.text[place + 1].isalnum() or new.text[place + 1].isspace()):
                place += 1  # marks behind what was said
            return place + 1
    return len(new.text)
