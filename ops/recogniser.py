"""A speech recogniser played from text: turns in, timed interim and final chunks of the client's protocol out."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ops.transcripts import Turn, Word

_TOKEN = re.compile(r"[\u3400-\u9fff][^\w\s]*\s*|(?:[^\s\u3400-\u9fff，。？！；：、])+[，。？！；：、]*\s*|\S\s*")
_SENTENCE_END = re.compile(r"[.?!…。？！]['\"’”\])）]*\s*$")
_MARKS = re.compile(r"^[^\w$€£]+|[^\w%]+$")


class ChunkEvent(NamedTuple):
    """A chunk message and when a recogniser would send it, in seconds of speech since the conversation began."""

    at: float
    chunk: dict[str, Any]


@dataclass(frozen=True)
class Habits:
    """How the recogniser speaks: rates in words (en) or characters (zh) a second, times in seconds.

    `split` is the chance that a final comes in the middle of a sentence; `merge` that none comes at its end, so that
    the next sentence stands in the same final; `revise` that an interim ends in a word that is heard otherwise later.
    Timed words bring a final at a silence of `pause`; so do `longest` seconds of speech without a mark. With `settle`
    the whole segment is heard in an interim first, and the final comes so many seconds later, as recognisers do that
    wait for silence. `natural` speech pauses before three sentences in four, and before every eighth word inside of
    one, for shorter; so do the speakers of the earnings calls whose word times are published. Its chunks come up to
    0.15 s late.
    """

    words_per_second: float = 2.8
    characters_per_second: float = 5.0
    interim_every: float = 0.3
    sentence_gap: float = 0.25
    turn_gap: float = 0.6
    pause: float = 0.7
    longest: float = 20.0
    split: float = 0.15
    merge: float = 0.2
    revise: float = 0.1
    settle: float = 0.0
    drop_punctuation: bool = False
    natural: bool = False


def recognise(turns: Iterable[Turn], seed: int = 1, habits: Habits | None = None) -> Iterator[ChunkEvent]:
    """Turn a conversation into the chunks that a recogniser would send: growing interims, then a final, over and over.

    The finals hold the text whole and in order: only white space may differ, and with `drop_punctuation` the marks
    around the words are gone. `at` never decreases. The same turns, seed and habits give the same events.
    """
    habits = habits or Habits()
    dice, clock, segments, sent = random.Random(seed), 0.0, 0, 0
    for turn in turns:
        words = _spaced(turn.words) if turn.words else _timed(turn, clock, dice, habits)
        for segment in _segments(words, dice, habits):
            segments += 1
            for end, heard, is_final in _hearings(segment, dice, habits):
                sent += 1
                clock = max(clock, end + (dice.uniform(0.0, 0.15) if habits.natural else 0.0))
                yield ChunkEvent(
                    clock, _chunk(turn, heard, f"c{sent}", f"s{segments}", segment[0].start, end, is_final)
                )
        clock += habits.turn_gap


def _chunk(
    turn: Turn, text: str, chunk_id: str, segment_id: str, start: float, end: float, is_final: bool
) -> dict[str, Any]:
    return {
        "type": "asr_chunk",
        "id": chunk_id,
        "text": text,
        "is_final": is_final,
        "segment_id": segment_id,
        "speaker": turn.speaker,
        "lang": turn.lang,
        "start_ms": round(start * 1000),
        "end_ms": round(end * 1000),
    }


def _spaced(words: Sequence[Word]) -> list[Word]:
    return [replace(word, text=word.text + " ") for word in words]


def _timed(turn: Turn, start: float, dice: random.Random, habits: Habits) -> list[Word]:
    seconds = 1 / (habits.characters_per_second if turn.lang == "zh" else habits.words_per_second)
    words = []
    for token in _TOKEN.findall(turn.text):
        words.append(Word(token, start, start + seconds))
        ends = bool(_SENTENCE_END.search(token))
        start += seconds + (_silence(ends, dice) if habits.natural else ends * habits.sentence_gap)
    return words


def _silence(ends: bool, dice: random.Random) -> float:
    """Seconds behind a word that ends a sentence, or does not."""
    chance, mean, most = (0.75, 0.9, 1.0) if ends else (0.13, 0.4, 0.6)
    return min(dice.expovariate(1 / mean), most) if dice.random() < chance else 0.0


def _segments(words: Sequence[Word], dice: random.Random, habits: Habits) -> Iterator[list[Word]]:
    """Cut a turn where finals come; a segment may hold the rest of one sentence and the next."""
    waiting: list[Word] = []
    for sentence in _sentences(words, habits):
        if waiting and (
            sentence[0].start - waiting[-1].end >= habits.pause or sentence[-1].end - waiting[0].start > habits.longest
        ):
            yield waiting
            waiting = []
        cut = dice.randrange(2, len(sentence) - 1) if len(sentence) >= 6 and dice.random() < habits.split else 0
        if cut:
            yield waiting + sentence[:cut]
            waiting = []
        waiting = waiting + sentence[cut:]
        if dice.random() >= habits.merge:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _sentences(words: Sequence[Word], habits: Habits) -> Iterator[list[Word]]:
    sentence: list[Word] = []
    for number, word in enumerate(words, 1):
        sentence.append(word)
        silence = words[number].start - word.end if number < len(words) else habits.pause
        too_long = word.end - sentence[0].start >= habits.longest
        if silence >= habits.pause or too_long or _SENTENCE_END.search(word.text):
            yield sentence
            sentence = []


def _hearings(words: Sequence[Word], dice: random.Random, habits: Habits) -> Iterator[tuple[float, str, bool]]:
    """What is heard of a segment: (seconds, text, whether final), interims only where something new was heard."""
    texts = [_without_marks(word.text) if habits.drop_punctuation else word.text for word in words]
    whole = "".join(texts).strip()
    if not whole:
        return
    due = words[0].start + habits.interim_every
    for count, word in enumerate(words[:-1], 1):
        if word.end < due:
            continue
        due = word.end + habits.interim_every
        heard = texts[:count]
        if dice.random() < habits.revise:
            heard[-1] = _misheard(heard)
        if text := "".join(heard).strip():
            yield word.end, text, False
    if habits.settle:
        yield words[-1].end, whole, False
    yield words[-1].end + habits.settle, whole, True


def _without_marks(text: str) -> str:
    bare = text.rstrip()
    return _MARKS.sub("", bare) + text[len(bare) :]


def _misheard(heard: Sequence[str]) -> str:
    """Give the last word another sound: a long one cut short, a short one as the word before it."""
    last = heard[-1].strip()
    if len(last) > 3:
        return last[: len(last) // 2 + 1]
    return heard[-2] if len(heard) > 1 else last
