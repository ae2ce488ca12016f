"""Cuts the final chunks of one session into sentences: what happens between the transcripts and sentences topics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from msgspec.structs import asdict

from pipeline import boundaries
from pipeline.features import letters
from pipeline.pauses import Growth, Spoken, before, pauses
from pipeline.revisions import behind, revises
from pipeline.unmarked import Ending, ending, ending_before, has_marks, words_end
from topics.messages import Endpointing

_LOOK_AHEAD = 64  # characters beyond the length cap that may decide about a mark before it
_MAX_HOLD = 10.0  # seconds behind a final chunk for which somebody who goes on speaking holds a sentence open
_MAX_INTERIMS = 128  # that are listened to behind a final chunk
_INTERIM_CHARS = 200  # of an interim chunk that are read

EndedBy = Literal["mark", "words", "silence", "length", "speaker", "flush", "early"]


class Rules(NamedTuple):
    """When a sentence ends without a mark: seconds of silence and characters; whether some are early (`early.py`).

    `model` judges the words of a session without marks: one of `end_models.MODELS`.
    """

    max_silence: float = 1.2
    min_silence: float = 0.5
    max_chars: int = 400
    early_start: bool = False
    model: str = "linear"


DEFAULT_RULES = Rules()


def rules_with(rules: Rules, own: Endpointing | None) -> Rules:
    """What holds in a session that asked for rules of its own.

    >>> rules_with(DEFAULT_RULES, Endpointing(max_chars=80)).max_chars
    80
    """
    return rules._replace(**{name: value for name, value in asdict(own).items() if value is not None} if own else {})


class Heard(NamedTuple):
    """One final chunk: its offset in the transcripts topic and its record time in seconds.

    `growth` is how it was heard in interim chunks before, if anybody listened.
    """

    offset: int
    text: str
    at: float
    speaker: str | None = None
    lang: str | None = None
    segment: str | None = None
    growth: Growth | None = None


class Fragment(NamedTuple):
    """The part of a chunk that belongs to the open sentence: all from character `start` on.

    Nothing of it does if it is `interim`, or was `revised` by the next one.
    """

    heard: Heard
    start: int = 0
    interim: bool = False
    revised: bool = False

    @property
    def text(self) -> str:
        """That part, without blanks around it."""
        return "" if self.interim or self.revised else self.heard.text[self.start :].strip()


class Open(NamedTuple):
    """The sentence that has not ended yet.

    `punctuated` says that sentences of this session had marks; it outlives the sentence. `ending` is what its end looks
    like; `looked` belongs to `words_end`. Interim chunks are kept, as what a cut leaves must be heard again with them.
    """

    fragments: tuple[Fragment, ...] = ()
    punctuated: bool = False
    ending: Ending = Ending.UNSURE
    looked: int = 0

    @property
    def latest(self) -> int:
        """Index of the last final chunk."""
        return next(at for at in range(len(self.fragments) - 1, -1, -1) if not self.fragments[at].interim)


class Cut(NamedTuple):
    """One sentence. `offset` and `char` say where it ends: the last chunk of it, and the character of that chunk.

    `offsets` are all chunks that hold any of it; `began_at` and `ended_at` the record times of the first and the last,
    `cut_at` the one at which it was known to have ended.
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
    cut_at: float


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


def talk(open_: Open, heard: Heard, rules: Rules = DEFAULT_RULES) -> tuple[Open, list[Cut]]:
    """Hear an interim chunk: nothing is cut out of it, but it says that somebody speaks on, and how.

    A sentence that looks unfinished waits for its rest while it is being spoken; one that another speaker or the next
    words show to have ended, ends.
    """
    return _hear(open_, [Fragment(heard._replace(text=heard.text[:_INTERIM_CHARS]), interim=True)], rules)


def silence(open_: Open, clock: float, rules: Rules = DEFAULT_RULES) -> tuple[Open, list[Cut]]:
    """End the open sentence if nothing was heard for long enough at `clock`, seconds of record time."""
    due = deadline(open_, rules)
    return (open_, []) if due is None or clock < due else _end(open_, "silence", due)


def flush(open_: Open, at: float | None = None) -> tuple[Open, list[Cut]]:
    """End the open sentence: nothing more comes."""
    return _end(open_, "flush", at)


def deadline(open_: Open, rules: Rules = DEFAULT_RULES) -> float | None:
    """Record time at which silence ends the open sentence; None if nothing is open."""
    if not open_.fragments:
        return None
    heard_at = open_.fragments[open_.latest].heard.at
    if open_.ending is Ending.WHOLE:
        return heard_at + min(rules.min_silence, rules.max_silence)
    due = heard_at + rules.max_silence
    if open_.ending is Ending.OPEN and (last := open_.fragments[-1]).interim:  # its rest is being spoken
        due = max(due, min(last.heard.at + rules.max_silence, heard_at + _MAX_HOLD))
    return due


def joined(open_: Open) -> str:
    """The text of the open sentence so far."""
    return boundaries.join([fragment.text for fragment in open_.fragments])[0]


def _hear(open_: Open, fragments: list[Fragment], rules: Rules) -> tuple[Open, list[Cut]]:
    """Add fragments one by one. What a cut leaves is heard again from nothing, exactly as after a restart."""
    cuts: list[Cut] = []
    waiting = fragments[::-1]
    while waiting:
        fragment = waiting.pop()
        if not (fragment.heard.text[fragment.start :].strip() and (open_.fragments or not fragment.interim)):
            continue
        open_, ended = _end_before(open_, fragment.heard, rules)
        cuts += ended
        if fragment.interim:
            open_, ended = _speak_on(open_, fragment, rules)
            cuts += ended
            continue
        open_, found = _first_cut(_add(open_, fragment), rules)
        if found:
            cut, rest = found
            cuts.append(cut)
            open_, waiting = _after(open_, cut), waiting + rest[::-1]
    return open_, cuts


def _speak_on(open_: Open, fragment: Fragment, rules: Rules) -> tuple[Open, list[Cut]]:
    """Somebody speaks behind the open sentence, if there still is one; his words may show that it has ended."""
    if not open_.fragments or len(open_.fragments) - open_.latest > _MAX_INTERIMS:
        return open_, []
    text, heard = joined(open_), fragment.heard
    ending = min(open_.ending, Ending.UNSURE)  # there was no silence
    if not (open_.punctuated or has_marks(text)):
        last, first = [*open_.fragments, fragment][open_.latest : open_.latest + 2]
        silent = before(last.heard.at, first.heard.text, first.heard.at)
        found = ending_before(text, heard.text, silent, rules.model)
        if found is Ending.WHOLE:
            return _end(open_, "words", heard.at)
        ending = ending if found is None else found
    return open_._replace(fragments=(*open_.fragments, fragment), ending=ending), []


def _add(open_: Open, fragment: Fragment) -> Open:
    """Put a final fragment behind the others, or in the place of the last one if it is that segment heard better."""
    fragments = open_.fragments
    if fragments and revises((old := fragments[open_.latest]).heard, fragment.heard):
        start = max(fragment.start, behind(old.heard, old.start, fragment.heard))
        if not fragment.heard.text[start:].strip():  # nothing new, but it is done with this sentence
            return open_._replace(fragments=(*fragments, Fragment(fragment.heard, start, revised=True)))
        fragment, at = Fragment(fragment.heard, start), open_.latest
        fragments = (*fragments[:at], old._replace(revised=True), *fragments[at + 1 :])
        open_ = open_._replace(looked=0)
    return open_._replace(fragments=(*fragments, fragment))


def _after(open_: Open, cut: Cut) -> Open:
    """What is left of a sentence that ended: whether the session has marks."""
    return Open(punctuated=open_.punctuated or has_marks(cut.text))


def _end_before(open_: Open, heard: Heard, rules: Rules) -> tuple[Open, list[Cut]]:
    """End the open sentence if a pause or another speaker parts it from `heard`."""
    open_, cuts = silence(open_, heard.at, rules)
    speaker = _first(fragment.heard.speaker for fragment in open_.fragments)
    if None not in (speaker, heard.speaker) and speaker != heard.speaker:
        return _end(open_, "speaker", heard.at)
    return open_, cuts


def _first_cut(open_: Open, rules: Rules) -> tuple[Open, tuple[Cut, list[Fragment]] | None]:
    """The first sentence that is whole by a mark, by its words or by its length, and the fragments after it.

    The state comes back with what was seen of its end.
    """
    text, starts = boundaries.join([fragment.text for fragment in open_.fragments])
    limit = max(rules.max_chars, 1)
    near = text[: limit + _LOOK_AHEAD]
    end = boundaries.mark_end(near)
    ended_by: EndedBy = "mark"
    if end is None and not open_.punctuated and not has_marks(near):
        ended_by = "words"
        end, looked = words_end(near, pauses(_spoken(open_, starts)), open_.looked, rules.model)
        open_ = open_._replace(looked=looked)
    if (end or len(text)) > limit:
        end, ended_by = boundaries.length_end(text, limit), "length"
    if end is None:
        return open_._replace(ending=ending(text, open_.punctuated, rules.model)), None
    last = max(index for index, start in enumerate(starts) if start < end)
    heard, begin, *_ = open_.fragments[last]
    lead = len(heard.text) - begin - len(heard.text[begin:].lstrip())
    char = begin + lead + end - starts[last]
    kept = open_.fragments[: last + 1]
    cut = _cut(kept, text[:end], char, ended_by, open_.fragments[-1].heard.at)
    rest = [fragment._replace(revised=False) for fragment in open_.fragments[last + 1 :]]
    return open_, (cut, [Fragment(heard, char), *rest])


def _spoken(open_: Open, starts: list[int]) -> list[Spoken]:
    """The final parts of the open sentence, each with its place in the whole."""
    parts = []
    for fragment, at in zip(open_.fragments, starts, strict=True):
        if text := fragment.text:
            heard = fragment.heard
            before = letters(heard.text[: fragment.start]) if heard.growth else 0
            parts.append(Spoken(text, at, heard.at, before, heard.growth))
    return parts


def _end(open_: Open, ended_by: EndedBy, at: float | None = None) -> tuple[Open, list[Cut]]:
    if not open_.fragments:
        return open_, []
    last = open_.fragments[open_.latest].heard
    cut = _cut(open_.fragments, joined(open_), len(last.text.rstrip()), ended_by, last.at if at is None else at)
    return _after(open_, cut), [cut]


def _cut(fragments: tuple[Fragment, ...], text: str, char: int, ended_by: EndedBy, cut_at: float) -> Cut:
    chunks = [fragment.heard for fragment in fragments if not fragment.interim]
    offsets = tuple(chunk.offset for chunk in chunks)
    speaker, lang = _first(chunk.speaker for chunk in chunks), _first(chunk.lang for chunk in chunks)
    text = boundaries.without_lead(text)
    return Cut(text, offsets[-1], char, offsets, ended_by, speaker, lang, chunks[0].at, chunks[-1].at, cut_at)


def _first(values: Iterator[str | None]) -> str | None:
    return next((value for value in values if value is not None), None)
