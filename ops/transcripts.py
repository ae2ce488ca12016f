"""Recorded conversations: files of several shapes in, turns of speech out."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from pipeline.errors import RagError

_HAN = re.compile(r"[\u3400-\u9fff]")
_NOISE = re.compile(r"\s*\{\w+\}")
_SPEAKER = re.compile(r"^\s*([^:：。.?？!！,，]{1,40})[:：]\s*(\S.*)$")


class TranscriptError(RagError):
    """A file that cannot be read as a conversation; the text says why and what would be readable."""


@dataclass(frozen=True)
class Word:
    """A word as written, punctuation included; `start` and `end` in seconds of the recording."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Turn:
    """What one speaker says without interruption; `words` where the source knows when each was spoken."""

    speaker: str
    text: str
    lang: str
    words: tuple[Word, ...] = ()


def read_transcript(path: Path) -> list[Turn]:
    """Read a recorded conversation; the ending of the name and the first record say which shape it has.

    `.jsonl`: `{"speaker","text","lang"?}` a line, or VCSum's `{"speaker":[…],"context":[[sentence…]…]}`;
    `.json`: QMSum's `{"meeting_transcripts":[{"speaker","content"}…]}`; `.txt`: `Speaker: text` or plain lines;
    `.nlp`: Rev's table `token|speaker|ts|endTs|punctuation|…` with word times.

    Raises:
        TranscriptError: The file is missing, of another shape, or holds no speech.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise TranscriptError(f"{path}: unknown kind of transcript; give one of {', '.join(sorted(_READERS))}")
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise TranscriptError(f"{path}: {reason}; give the path of a readable transcript") from error
    try:
        turns = [turn for turn in reader(content) if turn.text]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TranscriptError(f"{path}: not a {path.suffix} transcript ({_reason(error)}); see docs/demo.md") from error
    if not turns:
        raise TranscriptError(f"{path}: holds no speech")
    return turns


def language_of(text: str) -> str:
    """Say `zh` where a tenth of the letters or more are Chinese, else `en`.

    >>> language_of("公益的发展阶段"), language_of("an answer"), language_of("用 QQ 群")
    ('zh', 'en', 'zh')
    """
    letters = sum(character.isalpha() for character in text)
    return "zh" if len(_HAN.findall(text)) * 10 >= max(letters, 1) else "en"


def language_of_all(turns: Iterable[Turn]) -> str:
    """Name the one language of a conversation, or `auto` where it has several."""
    languages = {turn.lang for turn in turns}
    return languages.pop() if len(languages) == 1 else "auto"


def _json_lines(content: str) -> list[Turn]:
    turns: list[Turn] = []
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            turns += _segment(record) if "context" in record else [_turn(record["speaker"], record["text"], record)]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"line {number}: {_reason(error)}") from error
    return turns


def _segment(record: Mapping[str, Any]) -> list[Turn]:
    spoken = zip(record["speaker"], record["context"], strict=True)
    return [_turn(speaker, "".join(sentence.strip() for sentence in sentences)) for speaker, sentences in spoken]


def _meeting(content: str) -> list[Turn]:
    # AMI and ICSI meetings note laughter, gaps and repairs as {vocalsound}, {gap}, {disfmarker}.
    turns = json.loads(content)["meeting_transcripts"]
    return [_turn(turn["speaker"], _NOISE.sub("", turn["content"])) for turn in turns]


def _plain_lines(content: str) -> list[Turn]:
    turns, speaker = [], "speaker"
    for line in filter(str.strip, content.splitlines()):
        named = _SPEAKER.match(line)
        if named:
            speaker = named[1].strip()
        turns.append(_turn(speaker, named[2] if named else line))
    return turns


def _timed_words(content: str) -> list[Turn]:
    rows = csv.DictReader(content.splitlines(), delimiter="|", quoting=csv.QUOTE_NONE)
    timed = ((row["speaker"], _word(row)) for row in rows if row["token"] and row["ts"] and row["endTs"])
    turns = []
    for speaker, spoken in groupby(timed, key=lambda pair: pair[0]):
        words = tuple(word for _, word in spoken)
        text = " ".join(word.text for word in words)
        turns.append(Turn(speaker, text, language_of(text), words))
    return turns


def _word(row: Mapping[str, str]) -> Word:
    text = (row.get("prepunctuation") or "") + row["token"] + (row.get("punctuation") or "")
    return Word(text, float(row["ts"]), float(row["endTs"]))


def _turn(speaker: object, text: str, record: Mapping[str, Any] | None = None) -> Turn:
    spoken = " ".join(text.split())
    return Turn(str(speaker), spoken, (record or {}).get("lang") or language_of(spoken))


def _reason(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)


_READERS: dict[str, Callable[[str], list[Turn]]] = {
    ".json": _meeting,
    ".jsonl": _json_lines,
    ".nlp": _timed_words,
    ".txt": _plain_lines,
}
