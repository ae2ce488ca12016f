"""Bytes of a topic to records and back: whatever comes, it is a record or a DecodeError that says why."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.example_records import EXAMPLES
from topics.catalog import ANSWERS, DESCRIBED, QUESTIONS, SENTENCES, TRANSCRIPTS, Topic
from topics.codec import DecodeError, decode, encode
from topics.messages import AsrChunk, Control, End, Record

pytestmark = pytest.mark.unit

KINDS = ["asr_chunk", "control", "ask", "end", "sentence", "question", "done", "piece", "claim", "nonsense", None, 5]
FIELDS = ["text", "is_final", "id", "timestamp", "action", "options", "offsets", "attempt", "index", "why", "epoch"]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
objects = st.builds(
    lambda kind, fields: {**kind, **fields},
    st.fixed_dictionaries({}, optional={"type": st.sampled_from(KINDS)}),
    st.dictionaries(st.sampled_from(FIELDS), values),
)
broken_json = objects.map(lambda value: json.dumps(value).encode()).flatmap(
    lambda raw: st.builds(lambda at, byte: raw[:at] + byte + raw[at:], st.integers(0, len(raw)), st.binary(max_size=3))
)
topics = st.sampled_from(DESCRIBED)


def check(topic: Topic, value: bytes | None) -> None:
    """A record that can be written again, or a reason."""
    try:
        record = decode(topic, value)
    except DecodeError as exc:
        assert str(exc)
    else:
        assert decode(topic, encode(record)) == record


@given(topics, st.binary(max_size=60))
def test_any_bytes_are_a_record_or_a_reason(topic: Topic, value: bytes) -> None:
    check(topic, value)


@given(topics, values | objects)
@example(TRANSCRIPTS, {"text": "\ud800"})
@example(TRANSCRIPTS, {"text": "a", "segment_id": 10**400})
@example(TRANSCRIPTS, {"text": "a", "timestamp": float("inf")})
def test_any_json_is_a_record_or_a_reason(topic: Topic, value: Any) -> None:
    check(topic, json.dumps(value).encode())


@given(topics, broken_json)
def test_json_that_was_broken_is_a_record_or_a_reason(topic: Topic, value: bytes) -> None:
    check(topic, value)


@pytest.mark.parametrize("depth", [10, 900, 100_000])
@pytest.mark.parametrize("prefix", [b"", b'{"text":"a","more":', b'{"type":"ask","text":"a","options":{"x":'])
def test_deep_nesting_is_a_record_or_a_reason(prefix: bytes, depth: int) -> None:
    closing = b"}" * prefix.count(b"{")
    for topic in DESCRIBED:
        check(topic, prefix + b"[" * depth + b"]" * depth + closing)
        check(topic, prefix + b"[" * depth)


@pytest.mark.parametrize(
    ("topic", "value", "reason"),
    [
        (TRANSCRIPTS, None, "no value"),
        (TRANSCRIPTS, b"", "truncated"),
        (TRANSCRIPTS, b"hello", "malformed"),
        (TRANSCRIPTS, b'{"text": "\xff"}', "utf-?8"),
        (TRANSCRIPTS, b"[]", "array"),
        (TRANSCRIPTS, b"{}", "text"),
        (TRANSCRIPTS, b'{"text": 5}', r"text"),
        (TRANSCRIPTS, b'{"type": "asr_chunk"}', "text"),
        (TRANSCRIPTS, b'{"type": "sentence", "text": "a"}', "sentence"),
        (TRANSCRIPTS, b'{"type": "control", "action": "dance"}', "dance"),
        (TRANSCRIPTS, b'{"text": "a", "timestamp": 1e999}', "timestamp|range"),
        (SENTENCES, b'{"text": "a"}', "type"),
        (QUESTIONS, b'{"type": "question"}', "text"),
        (ANSWERS, b'{"type": "piece", "attempt": 1, "index": "0", "text": ""}', "index"),
    ],
)
def test_the_reason_names_what_is_wrong(topic: Topic, value: bytes | None, reason: str) -> None:
    with pytest.raises(DecodeError, match=f"(?i){reason}"):
        decode(topic, value)


@pytest.mark.parametrize(
    ("value", "record"),
    [
        (b'{"text": "hello"}', AsrChunk(text="hello")),
        (
            b'{"text": "hello", "is_final": false, "segment_id": 7}',
            AsrChunk(text="hello", is_final=False, segment_id=7),
        ),
        (b'{"type": "asr_chunk", "text": "hello", "of_another_make": [1]}', AsrChunk(text="hello")),
        (b'{"type": "control", "action": "stop", "id": "c1"}', Control(action="stop", id="c1")),
        (b'{"type": "end"}', End()),
    ],
)
def test_foreign_producers_may_leave_out_the_type_and_add_fields(value: bytes, record: Record) -> None:
    assert decode(TRANSCRIPTS, value) == record


@pytest.mark.parametrize(("topic", "record"), EXAMPLES, ids=lambda value: getattr(value, "noun", type(value).__name__))
def test_every_record_reads_back(topic: Topic, record: Record) -> None:
    assert decode(topic, encode(record)) == record


def test_defaults_are_left_out() -> None:
    assert encode(AsrChunk(text="hello")) == b'{"type":"asr_chunk","text":"hello"}'
