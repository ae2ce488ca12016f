"""Markdown of a knowledge file: text in, title and sections of units out; markup and HTML stay behind."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from textwrap import dedent

from markdown_it import MarkdownIt
from markdown_it.token import Token

from pipeline.providers.units import MAX_UNIT_CHARS, Sections, Unit, join_lines, sentences
from pipeline.providers.words import HAN, width

_PARSER = MarkdownIt("commonmark").enable("table")
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(?P<fields>.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_TITLE = re.compile(r"^title:[ \t]*(?P<quote>[\"']?)(?P<title>.+?)(?P=quote)[ \t]*$", re.MULTILINE)

# A paragraph in front of a list introduces it when it ends in a colon, or is short enough to be a caption.
LEAD_WIDTH = 120
CODE_LINES = 6


def sections(text: str) -> tuple[str, Sections]:
    r"""Title ("" if there is none) and, in order, (path of headings, units) of every section that has text.

    >>> sections("# Plans\n\nWe have:\n\n- **Free**\n- Team")[1][0][1][1]
    Unit(kind='item', text='Free', first=5, last=5, lead='We have:')
    """
    title, text = _without_front_matter(text)
    path: list[tuple[int, str]] = []
    found: Sections = [("", [])]
    for kind, block in _blocks(_PARSER.parse(text)):
        if kind == "heading":
            level, heading = int(block[0].tag[1:]), _plain(block[1])
            if level == 1 and not title:
                title = heading
                continue
            path = [(above, name) for above, name in path if above < level] + [(level, heading)]
            found.append((" > ".join(name for _, name in path if name != title), []))
        else:
            found[-1][1].extend(_units(kind, block, found[-1][1]))
    return title, [(heading, units) for heading, units in found if units]


def _without_front_matter(text: str) -> tuple[str, str]:
    found = _FRONT_MATTER.match(text)
    if found is None:
        return "", text
    title = _TITLE.search(found["fields"])
    blank = "\n" * found.group().count("\n")  # so that lines keep their numbers
    return (title["title"] if title else ""), blank + text[found.end() :]


def _blocks(tokens: Sequence[Token]) -> Iterator[tuple[str, list[Token]]]:
    """Top-level blocks: (kind, all tokens from opening to closing)."""
    block: list[Token] = []
    depth = 0
    for token in tokens:
        block.append(token)
        depth += token.nesting
        if depth == 0:
            yield block[0].type.removesuffix("_open"), block
            block = []


def _units(kind: str, block: list[Token], before: list[Unit]) -> Iterator[Unit]:
    if kind in ("bullet_list", "ordered_list"):
        yield from _items(block, _lead(before, block))
    elif kind == "table":
        yield from _rows(block)
    elif kind in ("fence", "code_block"):
        yield from _code(block[0])
    elif kind == "html_block":
        visible = _PARSER.parseInline(_text_of_html(block[0].content))
        yield from sentences(_plain(visible[0]), _lines(block[0])[0])
    else:
        for token in block:
            if token.type == "inline":
                yield from sentences(_plain(token), _lines(token)[0])


def _code(block: Token) -> Iterator[Unit]:
    """Code, a few lines a unit, so that a long listing does not fill an answer."""
    first = _lines(block)[0] + (block.type == "fence")
    lines = block.content.rstrip().split("\n")
    for at in range(0, len(lines), CODE_LINES):
        part = lines[at : at + CODE_LINES]
        if any(line.strip() for line in part):
            yield Unit("code", dedent("\n".join(part)), first + at, first + at + len(part) - 1)


def _lead(before: list[Unit], block: list[Token]) -> str:
    if not before or before[-1].kind != "sentence" or _lines(block[0])[0] - before[-1].last > 2:
        return ""
    text = before[-1].text
    return text if text.endswith((":", "：")) or width(text) <= LEAD_WIDTH else ""


def _items(block: list[Token], lead: str) -> Iterator[Unit]:
    """Items of a list; one inside another is introduced by the item that it stands in."""
    above: list[str] = []
    text, numbers = "", []
    for token in block:
        if token.type in ("bullet_list_open", "ordered_list_open"):
            above.append(text or lead)
        elif token.type.endswith("_list_close"):
            text = above.pop()
        elif token.type == "list_item_open":
            numbers.append(token.info)
        elif token.type in ("inline", "fence", "code_block"):
            plain = _plain(token) if token.type == "inline" else token.content.rstrip()
            text = join_lines(plain) if token.type == "inline" else plain
            number = f"{numbers.pop()}. " if numbers and numbers[-1] else ""
            first, last = _lines(token)
            if len(text) > MAX_UNIT_CHARS and token.type == "inline":
                yield from sentences(number + plain, first)
            elif text:
                yield Unit("item", number + text, first, last, above[-1])


def _rows(block: list[Token]) -> Iterator[Unit]:
    """Rows of a table, each with its header: `Plan: Team; Seats: 10`."""
    rows: list[list[str]] = []
    lines = (1, 1)
    for token in block:
        if token.type == "tr_open":
            rows.append([])
            lines = _lines(token)
        elif token.type == "inline":
            rows[-1].append(join_lines(_plain(token)))
        elif token.type == "tr_close" and len(rows) > 1:
            cells = zip(rows[0], rows[-1], strict=True)
            text = _row([(head, cell) for head, cell in cells if cell])
            if text:
                yield Unit("row", text, *lines)


def _row(cells: list[tuple[str, str]]) -> str:
    chinese = re.search(f"[{HAN}]", "".join(head + cell for head, cell in cells))
    colon, semicolon = ("：", "；") if chinese else (": ", "; ")
    return semicolon.join(f"{head}{colon}{cell}" if head else cell for head, cell in cells)


def _plain(token: Token) -> str:
    """Text of an inline token, line breaks kept; tags of HTML are dropped, what stands between them is text."""
    text = {"softbreak": "\n", "hardbreak": "\n", "html_inline": ""}
    return "".join(text.get(child.type, child.content) for child in token.children or [])


def _lines(token: Token) -> tuple[int, int]:
    first, end = token.map or (0, 1)
    return first + 1, end


class _TextOfHtml(HTMLParser):
    """Collects what a reader would see, and keeps the line breaks."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self._hidden = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style"):
            self._hidden = tag
        self.text += "\n" * (self.get_starttag_text() or "").count("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._hidden:
            self._hidden = ""

    def handle_data(self, data: str) -> None:
        self.text += "\n" * data.count("\n") if self._hidden else data


def _text_of_html(html: str) -> str:
    parser = _TextOfHtml()
    parser.feed(html)
    parser.close()
    return parser.text
