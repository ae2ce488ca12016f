"""PDF of a knowledge file: a path in, title and sections of units out; a unit's lines are the number of its page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pypdfium2

from pipeline.providers.units import Sections, Unit, Unreadable, sentences
from pipeline.providers.words import width

_PASSWORD = 4  # FPDF_ERR_PASSWORD
_HYPHEN = "\ufffe"  # what PDFium gives for a hyphen at the end of a line
_LEADERS = re.compile(r"(?:[.…·]\s?){5,}")  # a line of a table of contents
_NUMBER = re.compile(r"^(?:第\s*)?[\dIVX]+(?:\.\d+)*\.?(?:\s*[章节])?\s+")
_OPENS = re.compile(r"^(?:[•▪‣–*-]\s|\(?\d{1,2}[.)]\s)")
_OF_A_PROGRAM = re.compile(r"^Microsoft \w+ - |\.(?:docx?|tex|indd|pptx?|rtf|odt)$", re.IGNORECASE)
# A line this much shorter than the widest of its page ends a paragraph.
_SHORT = 0.75
# Lines at the edge of so many pages are headers and footers.
_REPEATED = 3

Bookmarks = list[tuple[int, str, int]]


def sections(path: Path) -> tuple[str, Sections]:
    """Title ("" if there is none) and, in order, (path of bookmarks, units) of every stretch that has text.

    Raises:
        Unreadable: it is encrypted, damaged, or holds pictures of text only.
    """
    try:
        with pypdfium2.PdfDocument(path) as document:
            title = document.get_metadata_value("Title").strip()
            pages = [page.get_textpage().get_text_range().replace(_HYPHEN, "").splitlines() for page in document]
            bookmarks = _bookmarks(document)
    except (pypdfium2.PdfiumError, ValueError) as exc:  # a bookmark may not be decodable
        if getattr(exc, "err_code", None) == _PASSWORD:
            raise Unreadable("encrypted: save it without a password") from exc
        raise Unreadable("damaged, or no PDF") from exc
    found = _sections(_without_edges(pages), bookmarks)
    if not found:
        raise Unreadable("holds no text, only pictures: have its text recognised (OCR)")
    return ("" if _OF_A_PROGRAM.search(title) else title), found


def _bookmarks(document: pypdfium2.PdfDocument) -> Bookmarks:
    """(level, title, page from 1), in order of the document."""
    found = []
    for mark in document.get_toc():
        goal = mark.get_dest()
        page = goal.get_index() if goal else None
        if page is not None:
            found.append((mark.level, " ".join(mark.get_title().split()), page + 1))
    return sorted(found, key=lambda mark: mark[2])


def _without_edges(pages: Sequence[Sequence[str]]) -> list[list[str]]:
    """Leave out the lines of contents, and what is the first or last line of page after page, numbers aside."""
    kept = [[line.strip() for line in page if line.strip() and not _LEADERS.search(line)] for page in pages]
    edges = Counter(_shape(line) for page in kept for line in {*page[:1], *page[-1:]})

    def is_edge(line: str) -> bool:
        return edges[_shape(line)] >= _REPEATED

    for page in kept:
        if page and is_edge(page[-1]):
            page.pop()
        if page and is_edge(page[0]):
            page.pop(0)
    return kept


def _shape(line: str) -> str:
    return re.sub(r"\d+|\b[ivxlc]+$", "#", line)


def _sections(pages: Sequence[Sequence[str]], bookmarks: Bookmarks) -> Sections:
    """Stretches between bookmarks; one begins at the line that bears its title, else with its page."""
    found: Sections = [("", [])]
    above: list[tuple[int, str]] = []
    for number, lines in enumerate(pages, start=1):
        here = [(level, title) for level, title, page in bookmarks if page == number]
        rest = list(lines)
        for level, title in here:
            start = next((at for at, line in enumerate(rest) if _bears(line, title)), 0)
            found[-1][1].extend(_units(rest[:start], number))
            rest = rest[start + (1 if rest and _bears(rest[start], title) else 0) :]
            above = [(outer, name) for outer, name in above if outer < level] + [(level, title)]
            found.append((" > ".join(name for _, name in above), []))
        found[-1][1].extend(_units(rest, number))
    return [(heading, units) for heading, units in found if units]


def _bears(line: str, title: str) -> bool:
    return _bare(line) == _bare(title)


def _bare(heading: str) -> str:
    return "".join(_NUMBER.sub("", heading).split()).lower()


def _units(lines: Sequence[str], page: int) -> Iterator[Unit]:
    widest = max(map(width, lines), default=0)
    paragraph: list[str] = []
    for line in lines:
        if paragraph and (_OPENS.match(line) or width(paragraph[-1]) < _SHORT * widest):
            yield from _sentences(paragraph, page)
            paragraph = []
        paragraph.append(line)
    yield from _sentences(paragraph, page)


def _sentences(paragraph: Sequence[str], page: int) -> Iterator[Unit]:
    for unit in sentences("\n".join(paragraph), page):
        yield Unit(unit.kind, unit.text, page, page)
