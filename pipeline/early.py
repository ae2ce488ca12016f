"""What is said while no sentence is open: an early sentence from interim chunks, and the final one that settles it.

Nothing here changes what is cut out of final chunks: an early sentence stands before those, under a lower source.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from pipeline.features import plain
from pipeline.revisions import holds_half
from pipeline.sentences import Cut, Heard, Open, Rules, flush, push
from pipeline.unmarked import Ending

STABLE = 0.3  # seconds without another word
_SLOWEST = 1.0  # seconds between two interim chunks; a recogniser that is slower is not waited for
_HOLD = 10.0  # seconds without a word after which a final chunk is of something else


class Asked(NamedTuple):
    """An early sentence that no final one has settled.

    `at` is when its speaker was last heard, in seconds of record time; `final` is the offset of his first final chunk
    since.
    """

    source: tuple[int, int]
    text: str
    speaker: str | None
    at: float
    final: int | None = None


class Early(NamedTuple):
    """What is being said.

    `heard` is the first interim chunk with these `words`, until they were looked at; `last` the record time of the
    latest one, `pace` the longest time between two of them.
    """

    heard: Heard | None = None
    words: str = ""
    last: float = 0.0
    pace: float = 0.0
    asked: Asked | None = None


def listen(early: Early, heard: Heard) -> Early:
    """Hear an interim chunk while no sentence is open. Before a final chunk only one sentence is early."""
    if (asked := _current(early.asked, heard)) is not None:
        return Early(asked=asked._replace(at=heard.at) if _may_be(asked.speaker, heard.speaker) else asked)
    words = plain(heard.text)
    pace = max(early.pace, min(heard.at - early.last, _SLOWEST)) if early.words else 0.0
    return Early(early.heard if words == early.words else heard, words, heard.at, pace)


def due(early: Early) -> float | None:
    """Record time from which on the words are stable: none came for as long as the recogniser is silent at times."""
    return None if early.heard is None else early.heard.at + max(STABLE, early.pace)


def look(early: Early, clock: float, rules: Rules) -> tuple[Early, Cut | None]:
    """The last sentence of words that are stable at `clock`, if it looks whole.

    >>> early = listen(Early(), Heard(7, "That is fine. How much is it?", 1.0))
    >>> early, cut = look(early, 1.5, Rules())
    >>> (cut.text, cut.offset, cut.char, early.asked.source)
    ('How much is it?', 7, 29, (7, 29))
    """
    heard = early.heard
    if heard is None or clock < (due(early) or clock):
        return early, None
    early = early._replace(heard=None)
    open_, cuts = push(Open(), heard, rules)
    if open_.fragments:
        cuts = flush(open_)[1] if open_.ending is Ending.WHOLE else []
    if not cuts:
        return early, None
    cut = cuts[-1]._replace(ended_by="early", cut_at=clock)
    return Early(asked=Asked((cut.offset, cut.char), cut.text, cut.speaker, heard.at)), cut


def answer(early: Early, heard: Heard) -> Early:
    """Hear a final chunk: what was being said is over, and a sentence that was early waits for those in this chunk."""
    asked = _current(early.asked, heard)
    if asked is not None and asked.final is None and _may_be(asked.speaker, heard.speaker):
        asked = asked._replace(final=heard.offset)
    return Early(asked=asked)


def settle(early: Early, cuts: Sequence[Cut], still: Collection[int]) -> tuple[Early, Cut | None]:
    """The sentence that the early one became: one with its words, or half of them; else the last of its final chunk.

    Args:
        early: the state.
        cuts: sentences that ended.
        still: offsets of the chunks of the open sentence.
    """
    asked = early.asked
    if asked is None or asked.final is None:
        return early, None
    ended = [cut for cut in cuts if cut.offset >= asked.final]
    same = [cut for cut in ended if plain(cut.text) == plain(asked.text)]
    alike = [cut for cut in ended if holds_half(asked.text, cut.text)]
    last = [cut for cut in ended[::-1] if asked.final in cut.offsets and asked.final not in still]
    found = next(iter(same + alike + last), None)
    return (early, None) if found is None else (early._replace(asked=None), found)


def _current(asked: Asked | None, heard: Heard) -> Asked | None:
    return None if asked is None or heard.at - asked.at > _HOLD else asked


def _may_be(speaker: str | None, other: str | None) -> bool:
    return None in (speaker, other) or speaker == other
