"""Results of a task as a file: what a reader of JSON lines, CSV and Parquet finds in it."""

from __future__ import annotations

import csv
import io
import json
import sys
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pyarrow
import pyarrow.parquet as parquet
import pytest

from gateway.exports import COLUMNS, ExportFormat, written
from gateway.problems import Problem

pytestmark = pytest.mark.contract

ANSWERED = {
    "index": 0,
    "text": "What is 票价?",
    "status": "completed",
    "question": "What is 票价?",
    "content": 'It is ",",\nthey say.',
    "error": None,
    "metadata": {"question_id": "t/0/4.0"},
    "sources": [{"title": "Fares", "page": 2}],
    "usage": {"total_tokens": 7},
}
DETECTED = {"index": 1, "text": "Hello.", "status": "completed", "content": "", "error": None, "answers": []}
WAITING = {"index": 2, "text": None, "status": "pending", "content": None, "error": None}


async def pages(*each: list[dict[str, Any]]) -> AsyncIterator[list[dict[str, Any]]]:
    for page in each:
        yield page


async def exported(format: ExportFormat, *each: list[dict[str, Any]]) -> bytes:
    return b"".join([data async for data in written(format, pages(*each))])


async def test_json_lines_are_the_results_as_the_api_gives_them() -> None:
    lines = (await exported("jsonl", [ANSWERED, DETECTED], [WAITING])).decode().splitlines()
    assert [json.loads(line) for line in lines] == [ANSWERED, DETECTED, WAITING]


async def test_csv_holds_lists_and_objects_as_json() -> None:
    rows = list(csv.DictReader(io.StringIO((await exported("csv", [ANSWERED], [WAITING])).decode(), newline="")))
    assert [row["content"] for row in rows] == [ANSWERED["content"], ""]
    assert json.loads(rows[0]["sources"]) == ANSWERED["sources"]


async def test_parquet_has_the_same_columns_and_a_row_group_a_page() -> None:
    file = parquet.ParquetFile(io.BytesIO(await exported("parquet", [ANSWERED, DETECTED], [WAITING])))
    assert file.num_row_groups == 2
    rows = file.read().to_pylist()
    assert tuple(rows[0]) == COLUMNS
    assert [row["index"] for row in rows] == [0, 1, 2]
    assert [row["content"] for row in rows] == [ANSWERED["content"], "", None]
    assert json.loads(rows[0]["sources"]) == ANSWERED["sources"]
    assert (rows[0]["question"], json.loads(rows[1]["answers"]), rows[2]["text"]) == ("What is 票价?", [], None)


async def test_a_task_without_results_is_a_file_without_rows() -> None:
    assert parquet.ParquetFile(io.BytesIO(await exported("parquet"))).metadata.num_rows == 0


async def test_a_large_export_is_not_held_in_memory() -> None:
    """Twenty thousand results of 2 KB: forty megabytes go through, and a few are held."""

    async def many() -> AsyncIterator[list[dict[str, Any]]]:
        for at in range(0, 20_000, 500):
            yield [ANSWERED | {"index": at + n, "content": f"{at + n} " * 400} for n in range(500)]

    tracemalloc.start()
    try:
        sizes = [len(data) async for data in written("parquet", many())]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(sizes) == 41 and peak < 8_000_000 and pyarrow.default_memory_pool().max_memory() < 16_000_000


async def test_without_the_extra_the_refusal_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Problem, match=r"pip install 'realtime-rag\[parquet\]'") as refused:
        written("parquet", pages())
    assert refused.value.status == 501
