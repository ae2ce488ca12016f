"""Units: the smallest things that an answer quotes: a sentence, a list item, a row of a table, a block of code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from pipeline.providers.words import HAN

Kind = Literal["sentence", "item", "row", "code"]

# A paragraph without any punctuation (a recogniser's record) is cut here, so that one unit never fills an answer.
MAX_UNIT_CHARS = 400

_END = re.compile(r"(?<=[。！？!?；])[”’」』）)\"']*\s*|(?<=\.)[\"')]*\s+(?=[A-Z0-9“\"(\[])")
_ABBREVIATED = re.compile(r"\b(?:[A-Z]|Dr|Mr|Mrs|Ms|Prof|St|No|vs|e\.g|i\.e|etc|approx)\.[\"')]*\s*$")
_CHINESE_BREAK = re.compile(rf"(?<=[{HAN}，、。：；！？])\s*\n\s*(?=[{HAN}（“「])")
_BREAK = re.compile(r"\s*\n\s*")


class Unreadable(Exception):
    """A file whose text cannot be had; the message is the reason in a few words."""


class Unit(msgspec.Struct, frozen=True):
    """Text with its lines (of a PDF: its page); `lead` is the sentence that introduces the list it stands in."""

    kind: Kind
    text: str
    first: int
    last: int
    lead: str = ""


# Of a document, in order: (path of headings, what stands below).
Sections = list[tuple[str, list[Unit]]]


def sentences(text: str, line: int) -> Iterator[Unit]:
    r"""Sentences of a paragraph that starts at `line`; its line breaks count lines and are then undone.

    >>> [(u.text, u.first) for u in sentences("It costs 2.5 euros\na day. Ask Dr. Wu!", 7)]
    [('It costs 2.5 euros a day.', 7), ('Ask Dr. Wu!', 8)]
    >>> [u.text for u in sentences("先登录\n控制台。再点设置", 1)]
    ['先登录控制台。', '再点设置']
    """
    for start, end in _spans(text):
        part = text[start:end]
        if part.strip():
            skipped = len(part) - len(part.lstrip())
            first = line + text.count("\n", 0, start + skipped)
            yield Unit("sentence", join_lines(part), first, first + part.strip().count("\n"))


def join_lines(text: str) -> str:
    """Undo line breaks: a space between Latin words, nothing between Chinese characters."""
    return _BREAK.sub(" ", _CHINESE_BREAK.sub("", text.strip()))


def _spans(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for found in _END.finditer(text):
        if not _ABBREVIATED.search(text[start : found.end()]):
            yield from _pieces(start, found.end(), text)
            start = found.end()
    yield from _pieces(start, len(text), text)


def _pieces(start: int, end: int, text: str) -> Iterator[tuple[int, int]]:
    while end - start > MAX_UNIT_CHARS:
        cut = max(text.rfind(mark, start + 1, start + MAX_UNIT_CHARS) for mark in " \n，,、")
        cut = cut + 1 if cut > start else start + MAX_UNIT_CHARS
        yield start, cut
        start = cut
    yield start, end
