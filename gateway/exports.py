"""All results of a task as one file, a page in memory at a time: JSON lines, CSV, or Parquet by the extra `parquet`."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Literal

import msgspec

from gateway.problems import Problem

Row = dict[str, Any]  # a result as the API gives it
Pages = AsyncIterator[list[Row]]
ExportFormat = Literal["jsonl", "csv", "parquet"]

COLUMNS = (
    "index",
    "status",
    "text",
    "content",
    "error",
    "sources",
    "usage",
    "answers",
    "question",
    "metadata",
)
MEDIA_TYPES: dict[ExportFormat, str] = {
    "jsonl": "application/jsonl",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}


def written(format: ExportFormat, pages: Pages) -> AsyncIterator[bytes]:
    """The bytes of a file with these results; one column for each of `COLUMNS` where the format has columns.

    Raises:
        Problem: 501, Parquet is not installed here.
    """
    writers: dict[ExportFormat, Callable[[Pages], AsyncIterator[bytes]]] = {"jsonl": _json_lines, "csv": _csv}
    return _parquet(_pyarrow(), pages) if format == "parquet" else writers[format](pages)


async def _json_lines(pages: Pages) -> AsyncIterator[bytes]:
    async for results in pages:
        yield b"".join(msgspec.json.encode(result) + b"\n" for result in results)


async def _csv(pages: Pages) -> AsyncIterator[bytes]:
    yield (",".join(COLUMNS) + "\r\n").encode()
    async for results in pages:
        page = io.StringIO()
        csv.writer(page).writerows(_cells(result) for result in results)
        yield page.getvalue().encode()


def _cells(result: Row) -> Iterable[Any]:
    """What is no text stands in its cell as JSON."""
    for value in map(result.get, COLUMNS):
        yield msgspec.json.encode(value).decode() if isinstance(value, list | dict) else value


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ModuleNotFoundError as exc:
        detail = "format: this gateway cannot write Parquet; where it runs: pip install 'realtime-rag[parquet]'"
        raise Problem(501, "INVALID_REQUEST", detail) from exc
    return pyarrow


class _Written(io.RawIOBase):
    """A file that is only written to; `taken` gives what is new and forgets it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._end = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        self._end += len(data)
        return len(data)

    def tell(self) -> int:
        return self._end

    def taken(self) -> bytes:
        data, self._parts = b"".join(self._parts), []
        return data


async def _parquet(pyarrow: Any, pages: Pages) -> AsyncIterator[bytes]:
    """A row group a page; `index` is a number, everything else a text."""
    types = [pyarrow.int64() if name == "index" else pyarrow.string() for name in COLUMNS]
    schema, file = pyarrow.schema(list(zip(COLUMNS, types, strict=True))), _Written()
    writer = pyarrow.parquet.ParquetWriter(file, schema)

    def add(results: list[Row]) -> None:
        columns = zip(*map(_cells, results), strict=True)
        arrays = [pyarrow.array(column, type) for column, type in zip(columns, types, strict=True)]
        writer.write_batch(pyarrow.record_batch(arrays, schema=schema))

    async for results in pages:
        await asyncio.to_thread(add, results)
        yield file.taken()
    writer.close()
    yield file.taken()
