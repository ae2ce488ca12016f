"""Cuts the final chunks of one session into sentences: what happens between the transcripts and sentences topics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from pipeline import boundaries

_LOOK_AHEAD = 64  # characters beyond the length cap that may decide about a mark before it

EndedBy = Literal["mark", "silence", "length", "speaker", "flush"]


class Rules(NamedTuple):
    """When a sentence ends without a mark: seconds of silence and characters."""

    max_silence: float = 1.2
    min_silence: float = 0.5
    max_chars: int = 400


DEFAULT_RULES = Rules()


class Heard(NamedTuple):
    """One final chunk: its offset in the transcripts topic and its record time in seconds."""

    offset: int
    text: str
    at: float
    speaker: str | None = None
    lang: str | None = None


class Fragment(NamedTuple):
    """The part of a chunk that belongs to the open sentence: all from character `start` on."""

    heard: Heard
    start: int = 0

    @property
    def text(self) -> str:
        """That part, without blanks around it."""
        return self.heard.text[self.start :].strip()


class Open(NamedTuple):
    """The sentence that has not ended yet."""

    fragments: tuple[Fragment, ...] = ()


class Cut(NamedTuple):
    """One sentence. `offset` and `char` say where it ends: the last chunk of it, and the character of that chunk.

    `offsets` are all chunks that hold any of it; `began_at` and `ended_at` the record times of the first and the last.
    """

    text: str
    offset: int
    char: int
    offsets: tuple[int, ...]
    ended_by: EndedBy
    speaker: str | None
    lang: str | None
    began_at: float
    ended_at: float


def push(
    open_: Open, heard: Heard, rules: Rules = DEFAULT_RULES, after: tuple[int, int] | None = None
) -> tuple[Open, list[Cut]]:
    """Hear a final chunk; return what is open then, and the sentences that ended before or in it.

    `after` is the last source that was cut before a restart: text up to it is left out, and what follows is cut as if
    there had been no restart. A pause in record time cuts before the chunk, so a replay cuts as the live run did.

    >>> state, cuts = push(Open(), Heard(7, "how much is", 1.0))
    >>> state, cuts = push(state, Heard(8, "it? and when", 1.4))
    >>> [(cut.text, cut.offset, cut.char, cut.offsets) for cut in cuts], joined(state)
    ([('how much is it?', 8, 3, (7, 8))], 'and when')
    """
    start = 0
    if after is not None and heard.offset <= after[0]:
        start = after[1] if heard.offset == after[0] else len(heard.text)
    return _hear(open_, [Fragment(heard, start)], rules)


def silence(open_: Open, clock: float, rules: Rules = DEFAULT_RULES) -> tuple[Open, list[Cut]]:
    """End the open sentence if nothing was heard for long enough at `clock`, seconds of record time."""
    due = deadline(open_, rules)
    return (open_, []) if due is None or clock < due else _end(open_, "silence")


def flush(open_: Open) -> tuple[Open, list[Cut]]:
    """End the open sentence: nothing more comes."""
    return _end(open_, "flush")


def deadline(open_: Open, rules: Rules = DEFAULT_RULES) -> float | None:
    """Record time at which silence ends the open sentence; None if nothing is open."""
    if not open_.fragments:
        return None
    wait = min(rules.min_silence, rules.max_silence) if boundaries.looks_whole(joined(open_)) else rules.max_silence
    return open_.fragments[-1].heard.at + wait


def joined(open_: Open) -> str:
    """The text of the open sentence so far."""
    return boundaries.join([fragment.text for fragment in open_.fragments])[0]


def _hear(open_: Open, fragments: list[Fragment], rules: Rules) -> tuple[Open, list[Cut]]:
    """Add fragments one by one. What a cut leaves is heard again from nothing, exactly as after a restart."""
    cuts: list[Cut] = []
    waiting = fragments[::-1]
    while waiting:
        fragment = waiting.pop()
        if not fragment.text:
            continue
        open_, ended = _end_before(open_, fragment.heard, rules)
        open_ = Open((*open_.fragments, fragment))
        cuts += ended
        found = _first_cut(open_, rules)
        if found:
            cut, rest = found
            cuts.append(cut)
            open_, waiting = Open(), waiting + rest[::-1]
    return open_, cuts


def _end_before(open_: Open, heard: Heard, rules: Rules) -> tuple[Open, list[Cut]]:
    """End the open sentence if a pause or another speaker parts it from `heard`."""
    open_, cuts = silence(open_, heard.at, rules)
    speaker = _first(fragment.heard.speaker for fragment in open_.fragments)
    if None not in (speaker, heard.speaker) and speaker != heard.speaker:
        return _end(open_, "speaker")
    return open_, cuts


def _first_cut(open_: Open, rules: Rules) -> tuple[Cut, list[Fragment]] | None:
    """The first sentence that is whole by a mark or by its length, and the fragments after it."""
    text, starts = boundaries.join([fragment.text for fragment in open_.fragments])
    limit = max(rules.max_chars, 1)
    end = boundaries.mark_end(text[: limit + _LOOK_AHEAD])
    ended_by: EndedBy = "mark"
    if (end or len(text)) > limit:
        end, ended_by = boundaries.length_end(text, limit), "length"
    if end is None:
        return None
    last = max(index for index, start in enumerate(starts) if start < end)
    heard, begin = open_.fragments[last]
    lead = len(heard.text) - begin - len(heard.text[begin:].lstrip())
    char = begin + lead + end - starts[last]
    kept = open_.fragments[: last + 1]
    cut = _cut(kept, text[:end], char, ended_by)
    return cut, [Fragment(heard, char), *open_.fragments[last + 1 :]]


def _end(open_: Open, ended_by: EndedBy) -> tuple[Open, list[Cut]]:
    if not open_.fragments:
        return open_, []
    last = open_.fragments[-1].heard
    return Open(), [_cut(open_.fragments, joined(open_), len(last.text.rstrip()), ended_by)]


def _cut(fragments: tuple[Fragment, ...], text: str, char: int, ended_by: EndedBy) -> Cut:
    chunks = [fragment.heard for fragment in fragments]
    offsets = tuple(chunk.offset for chunk in chunks)
    speaker, lang = _first(chunk.speaker for chunk in chunks), _first(chunk.lang for chunk in chunks)
    return Cut(text, offsets[-1], char, offsets, ended_by, speaker, lang, chunks[0].at, chunks[-1].at)


def _first(values: Iterator[str | None]) -> str | None:
    return next((value for value in values if value is not None), None)
