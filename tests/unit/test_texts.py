"""Bytes in any pieces in, texts out; or the line that is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.texts import MAX_RECORD, Format, Texts, TextsError, format_of

pytestmark = pytest.mark.unit


def read(kind: Format, data: bytes, size: int = 10_000_000) -> list[str]:
    texts = Texts(kind)
    found = [text for at in range(0, len(data), size) for text in texts.push(data[at : at + size])]
    return found + texts.close()


@pytest.mark.parametrize(
    ("kind", "data", "found"),
    [
        ("text", "one\ntwo\r\n\n  \n多少钱", ["one", "two", "多少钱"]),
        ("text", "\ufeffone", ["one"]),
        ("text", "", []),
        ("jsonl", '"one"\n{"text": "two", "id": 5}\n\n{"text": ""}\n', ["one", "two", ""]),
        ("csv", 'id,Text\n1,one\n2,"two, or\nthree"\n3,"say ""when"""\n', ["one", "two, or\nthree", 'say "when"']),
        ("csv", "one\ntwo\n", ["one", "two"]),
        ("csv", 'text\n"a\r\nb"\n', ["a\r\nb"]),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_texts_come_out_however_the_bytes_are_cut(kind: Format, data: str, found: list[str], size: int) -> None:
    assert read(kind, data.encode(), size) == found


@given(st.lists(st.text(st.characters(exclude_characters="\n\r\ufeff", exclude_categories=["Cs"]))), st.integers(1, 9))
def test_lines_that_say_something_are_texts(lines: list[str], size: int) -> None:
    assert read("text", "\n".join(lines).encode(), size) == [line for line in lines if line.strip()]


@pytest.mark.parametrize(
    ("kind", "data", "told"),
    [
        ("jsonl", b'"a"\n{"text": 5}\n', "line 2: neither"),
        ("jsonl", b"[1]\n", "line 1: neither"),
        ("jsonl", b"\n\nnot\n", "line 3: not JSON"),
        ("csv", b"id,name\n1,a\n", "line 1: the header has no column 'text'"),
        ("csv", b"id,text\n1,a\n2\n", "line 3: has no column 2"),
        ("csv", b'text\n"a\n', "a quote is not closed"),
        ("text", b"a\n\xff\xff", "not UTF-8"),
        ("text", b"a" * (MAX_RECORD + 2), "line 1: longer than"),
        ("csv", b'text\n"' + b"a\n" * MAX_RECORD, "longer than"),
    ],
)
def test_a_line_that_is_wrong_is_named(kind: Format, data: bytes, told: str) -> None:
    with pytest.raises(TextsError, match=told):
        read(kind, data)


def test_a_format_goes_by_the_name_of_the_file() -> None:
    assert [format_of(name) for name in ("a.jsonl", "b.ndjson", "c.CSV", "d.txt", "-")] == [
        "jsonl",
        "jsonl",
        "csv",
        "text",
        "text",
    ]
