"""Knowledge documents: the text of a file in, passages that can be found and quoted out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

import msgspec

from pipeline.providers import markdown
from pipeline.providers.units import Unit, sentences
from pipeline.providers.words import width

# A passage is what one hit shows: longer ones hide the sentence that matched, shorter ones lose what it is about.
PASSAGE_WIDTH = 1_400
MARKDOWN_SUFFIXES = frozenset({".md", ".markdown", ".mdx"})
SUFFIXES = MARKDOWN_SUFFIXES | {".txt", ".text"}


class Passage(msgspec.Struct, frozen=True):
    """A stretch of one section of a file; `heading` is the path of headings below the title, lines count from 1."""

    file: str
    title: str
    heading: str
    units: list[Unit]

    @property
    def first(self) -> int:
        """First line in the file."""
        return self.units[0].first

    @property
    def last(self) -> int:
        """Last line in the file."""
        return max(unit.last for unit in self.units)

    @property
    def text(self) -> str:
        """The passage as plain text, a unit a line."""
        return "\n".join(unit.text for unit in self.units)


def passages(text: str, file: str) -> list[Passage]:
    r"""Cut a document into passages; `file` is its path below the knowledge folder and decides how it is read.

    >>> [found] = passages("# Plans\n\n## Price\n\nTeam is 9 euros.", "plans.md")
    >>> found.title, found.heading, found.text, found.first
    ('Plans', 'Price', 'Team is 9 euros.', 5)
    """
    path = PurePosixPath(file)
    if path.suffix.lower() in MARKDOWN_SUFFIXES:
        title, sections = markdown.sections(text)
    else:
        title, sections = "", [("", list(_plain_units(text)))]
    title = title or re.sub(r"[-_]+", " ", path.stem).strip()
    return [Passage(file, title, heading, units) for heading, all_units in sections for units in _cut(all_units)]


def _cut(units: Iterable[Unit]) -> Iterator[list[Unit]]:
    open_units: list[Unit] = []
    used = 0
    for unit in units:
        size = width(unit.text)
        if open_units and used + size > PASSAGE_WIDTH:
            yield open_units
            open_units, used = [], 0
        open_units.append(unit)
        used += size
    if open_units:
        yield open_units


def _plain_units(text: str) -> Iterator[Unit]:
    """Units of a text without markup: paragraphs stand between blank lines."""
    paragraph: list[str] = []
    start = 1
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        if line.strip():
            start = start if paragraph else number
            paragraph.append(line.strip())
        elif paragraph:
            yield from sentences("\n".join(paragraph), start)
            paragraph = []
