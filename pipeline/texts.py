"""Texts out of a stream of bytes: JSON lines, CSV, or one text a line; no more than a record is kept in memory."""

from __future__ import annotations

import codecs
import csv
from typing import Any, Literal, get_args

import msgspec

Format = Literal["jsonl", "csv", "text"]
MAX_RECORD = 1_000_000  # characters
COLUMN = "text"
_KINDS: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}


class TextsError(ValueError):
    """A line is none of the format; the message says which and why."""


def format_of(name: str) -> Format:
    """Format of a file by its name.

    >>> format_of("a/questions.JSONL"), format_of("notes.md")
    ('jsonl', 'text')
    """
    dot = name.rfind(".")
    return _KINDS.get(name[dot:].lower(), "text") if dot >= 0 else "text"


class Texts:
    r"""Takes bytes as they come and gives the texts that they complete.

    JSON lines are strings, or objects with a `text`. CSV has a header with a column `text`, or just one column. Empty
    lines are passed over, as they are in every format.

    >>> texts = Texts("jsonl")
    >>> texts.push(b'"How much?"\n{"te'), texts.push(b'xt": "When?"}'), texts.close()
    (['How much?'], [], ['When?'])
    """

    def __init__(self, kind: Format) -> None:
        if kind not in get_args(Format):
            raise TextsError(f"there is no format {kind!r}; choose one of {', '.join(get_args(Format))}")
        self._kind = kind
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._rest = ""  # of a line
        self._record: list[str] = []  # lines of a record that goes on
        self._size = 0  # of it
        self._is_open = False  # a quote is
        self._number = 0  # of lines so far
        self._column: int | None = None  # of a CSV, once its header was read

    def push(self, data: bytes) -> list[str]:
        """Take more; raises TextsError."""
        return self._take(self._decode(data, final=False))

    def close(self) -> list[str]:
        """There is no more; raises TextsError."""
        found = self._take(self._decode(b"", final=True) + "\n")
        if self._is_open:
            raise TextsError(f"line {self._number}: a quote is not closed")
        return found

    def _decode(self, data: bytes, *, final: bool) -> str:
        try:
            return self._decoder.decode(data, final)
        except UnicodeDecodeError as exc:
            raise TextsError(f"behind line {self._number}: not UTF-8 text ({exc.reason})") from exc

    def _take(self, text: str) -> list[str]:
        lines = (self._rest + text).split("\n")
        self._rest = lines.pop()
        found: list[str] = []
        for line in lines:
            self._number += 1
            self._record.append(line)
            self._size += len(line) + 1
            self._check_size(self._size)
            self._is_open ^= self._kind == "csv" and line.count('"') % 2 == 1
            if self._is_open:
                continue  # a line break inside of quotes
            record = "\n".join(self._record).removesuffix("\r")
            self._record, self._size = [], 0
            if record.strip():
                found += self._read(record)
        self._check_size(self._size + len(self._rest))
        return found

    def _check_size(self, size: int) -> None:
        if size > MAX_RECORD + 1:
            raise TextsError(f"line {max(1, self._number)}: longer than {MAX_RECORD} characters")

    def _read(self, record: str) -> list[str]:
        match self._kind:
            case "text":
                return [record]
            case "jsonl":
                return [self._object(record)]
        row = next(csv.reader([record]))
        if self._column is None:
            names = [name.strip().lower() for name in row]
            self._column = names.index(COLUMN) if COLUMN in names else 0
            if COLUMN in names:
                return []
            if len(row) > 1:
                raise TextsError(f"line {self._number}: the header has no column {COLUMN!r}")
        if len(row) <= self._column:
            raise TextsError(f"line {self._number}: has no column {self._column + 1}")
        return [row[self._column]]

    def _object(self, record: str) -> str:
        try:
            value: Any = msgspec.json.decode(record)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as exc:
            raise TextsError(f"line {self._number}: not JSON ({exc})") from exc
        text = value.get(COLUMN) if isinstance(value, dict) else value
        if not isinstance(text, str):
            raise TextsError(f"line {self._number}: neither a string nor an object with a string {COLUMN!r}")
        return text
