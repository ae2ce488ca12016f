"""Conversations with their sentence ends, and the chunk streams that recognisers would make of them."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from bench.question_data import FEW, Row, read, runs
from ops.recogniser import Habits, recognise
from ops.transcripts import Turn, read_transcript
from pipeline.features import letters
from pipeline.pauses import Growth, grow
from pipeline.sentences import Heard

FILES = {
    "earnings22": "earnings22_4481221.aligned.nlp",
    "ami": "qmsum_ES2004a_ami.json",
    "committee": "qmsum_education_9_committee.json",
    "vcsum": "vcsum_short_test_8_segments.jsonl",
}
RECOGNISED, ITS_REFERENCE = "earnings21_4386541_google_asr.nlp", "earnings21_4386541_reference.nlp"
_SPOKEN_ABBREVIATION = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|[A-Z])$")
_END = re.compile(r"[.?!。？！；…]+['\"’”)]*(?:\s+|(?<=[。？！；…])|$)")


class Shape(NamedTuple):
    """What a recogniser leaves out of its text: marks and capitals, and who speaks."""

    name: str
    marks: bool
    speakers: bool
    natural: bool = False


SHAPES = (
    Shape("marks", True, True), Shape("bare", False, True), Shape("bare, nobody", False, False),
    Shape("marks, pauses", True, True, True), Shape("bare, pauses", False, True, True),
)  # fmt: skip


class Conversation(NamedTuple):
    """A transcript as its publishers wrote it."""

    name: str
    turns: list[Turn]
    sentences: list[str]


class Event(NamedTuple):
    """What comes of a recogniser: a chunk, interim or final."""

    heard: Heard
    is_final: bool


def read_conversations(folder: Path) -> list[Conversation]:
    """The samples of a folder; if one is not there, say so and end the program with 2."""
    names = [*FILES.values(), RECOGNISED, ITS_REFERENCE]
    if missing := [name for name in names if not (folder / name).is_file()]:
        print(f"{folder} has no {', '.join(missing)}. Give the folder of the samples with --samples.", file=sys.stderr)
        raise SystemExit(2)
    found = []
    for name, file in FILES.items():
        turns = read_transcript(folder / file)
        sentences = [sentence for turn in turns for sentence in _sentences(turn.text)]
        if file.endswith(".jsonl"):  # says itself where they end
            records = map(json.loads, (folder / file).read_text(encoding="utf-8").splitlines())
            sentences = [sentence for record in records for spoken in record["context"] for sentence in spoken]
        found.append(Conversation(name, turns, [sentence for sentence in sentences if letters(sentence)]))
    turns = read_transcript(folder / RECOGNISED)
    return [*found, Conversation("recognised", turns, _projected(turns, (folder / ITS_REFERENCE).read_text("utf-8")))]


def read_development(data: Path, most: int) -> list[Conversation]:
    """The development conversations of the question data, those of a source as one, of `most` sentences at most.

    Sentences that follow each other are a turn, since nobody wrote down who speaks. Their ends are known, and by the
    labels they get the marks that `stream` needs to place its finals.
    """
    rows = sorted(read(data, "dev.jsonl.gz"), key=lambda row: (row.source, str(row.conv), row.idx))
    found = []
    for source, group in groupby(rows, key=lambda row: row.source):
        said = [row for row in group if letters(row.text)]
        if sum(row.question for row in said) >= FEW:
            found.append(Conversation(source, _turns(said[:most]), [_marked(row) for row in said[:most]]))
    return found


def _turns(rows: Sequence[Row]) -> list[Turn]:
    gap = {"en": " ", "zh": ""}
    return [Turn(str(run[0].conv), gap[run[0].lang].join(map(_marked, run)), run[0].lang) for run in runs(rows)]


def _marked(row: Row) -> str:
    return row.text.strip() + {"en": ".?", "zh": "。？"}[row.lang][row.question]


def _projected(turns: Sequence[Turn], reference: str) -> list[str]:
    """What an engine heard, cut where the human reference of the same call ends its sentences."""
    rows = list(csv.DictReader(reference.splitlines(), delimiter="|", quoting=csv.QUOTE_NONE))
    heard = [word.text.strip(".,?!") for turn in turns for word in turn.words]
    said, understood = [row["token"].lower() for row in rows], [word.lower() for word in heard]
    blocks = SequenceMatcher(None, said, understood, autojunk=False).get_matching_blocks()
    place_of = {one + step: two + step for one, two, size in blocks for step in range(size)}
    sentences, begin = [], 0
    for index, row in enumerate(rows):
        if row["punctuation"] and row["punctuation"][-1] in ".?!":
            end = next((place_of[later] for later in range(index + 1, len(rows)) if later in place_of), len(heard))
            sentences.append(" ".join(heard[begin:end]) + row["punctuation"])
            begin = max(begin, end)
    return [sentence for sentence in [*sentences, " ".join(heard[begin:])] if letters(sentence)]


def bare(text: str) -> str:
    """A text as a recogniser without marks and capitals would give it."""
    words = (word.strip("".join(sorted({c for c in word if not c.isalnum()}))) for word in _spaced(text).split())
    return " ".join(word for word in words if word).lower()


def stream(turns: Sequence[Turn], shape: Shape, seed: int, settle: float = 0.0) -> Iterator[Event]:
    """Interim and final chunks of a conversation: finals in the middle of a third of the sentences, none at the end of
    another third, one interim in ten misheard; a final comes `settle` seconds behind its last word.
    """  # noqa: D205
    habits = Habits(
        split=0.33, merge=0.33, revise=0.1, settle=settle, drop_punctuation=not shape.marks, natural=shape.natural
    )
    growth: Growth | None = None
    for offset, (at, chunk) in enumerate(recognise(turns, seed, habits)):
        text = chunk["text"] if shape.marks else chunk["text"].lower()
        speaker = chunk["speaker"] if shape.speakers else None
        if not chunk["is_final"]:
            growth = grow(growth, offset, chunk["segment_id"], text, at)
        heard = Heard(offset, text, at, speaker, chunk["lang"], chunk["segment_id"], growth)
        yield Event(heard, chunk["is_final"])
        growth = None if chunk["is_final"] else growth


def _sentences(text: str) -> list[str]:
    sentences, begin = [], 0
    for mark in _END.finditer(text):
        if not _SPOKEN_ABBREVIATION.search(text[begin : mark.start()]):
            sentences.append(text[begin : mark.end()].strip())
            begin = mark.end()
    return [*sentences, text[begin:].strip()]


def _spaced(text: str) -> str:
    return re.sub(r"[，。？！；：、…]+", "", text)
