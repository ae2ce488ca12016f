"""Knowledge documents: the text of a file in, passages that can be found and quoted out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

import msgspec

from pipeline.providers import markdown
from pipeline.providers.units import Sections, Unit, sentences
from pipeline.providers.words import width

# A passage is what one hit shows: longer ones hide the sentence that matched, shorter ones lose what it is about.
PASSAGE_WIDTH = 1_400
MARKDOWN_SUFFIXES = frozenset({".md", ".markdown", ".mdx"})
PDF_SUFFIXES = frozenset({".pdf"})
SUFFIXES = MARKDOWN_SUFFIXES | {".txt", ".text"} | PDF_SUFFIXES


class Passage(msgspec.Struct, frozen=True):
    """A stretch of one section of a file; `heading` is the path of headings below the title.

    Lines count from 1. In a PDF a line is a page.
    """

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
    if PurePosixPath(file).suffix.lower() in MARKDOWN_SUFFIXES:
        return cut(file, *markdown.sections(text))
    return cut(file, "", [("", list(_plain_units(text)))])


def cut(file: str, title: str, sections: Sections) -> list[Passage]:
    """Passages of a document's sections; without a title the name of the file is one."""
    title = title or re.sub(r"[-_]+", " ", PurePosixPath(file).stem).strip()
    return [Passage(file, title, heading, units) for heading, all_units in sections for units in _cut(all_units)]


def place(file: str, first: int, last: int) -> str:
    """Where in a file lines stand, as the fragment of an address.

    >>> place("a.md", 3, 5), place("a.pdf", 3, 4)
    ('L3-L5', 'page=3')
    """
    return f"page={first}" if PurePosixPath(file).suffix.lower() in PDF_SUFFIXES else f"L{first}-L{last}"


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
