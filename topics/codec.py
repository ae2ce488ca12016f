"""Bytes of a topic to records and back; what cannot be read says why."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from topics.catalog import TRANSCRIPTS, Topic
from topics.messages import AsrChunk, Record

_encoder = msgspec.json.Encoder()


class DecodeError(ValueError):
    """The bytes are not a record of their topic; the message says where and why."""


class _Kind(msgspec.Struct):
    type: Any = None


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def decode(topic: Topic, value: bytes | None) -> Any:
    """Read one record of a topic.

    >>> decode(TRANSCRIPTS, b'{"text": "hello"}').is_final
    True

    Raises:
        DecodeError: no value, not JSON, not a kind of this topic, a field missing or of another type.
    """
    if value is None:
        raise DecodeError("the record has no value")
    try:
        return _decoder(topic.records).decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        if topic is TRANSCRIPTS and _untyped(value):
            return _decode_chunk(value)
        raise DecodeError(str(exc)) from exc


def _untyped(value: bytes) -> bool:
    try:
        return _decoder(_Kind).decode(value).type is None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _decode_chunk(value: bytes) -> AsrChunk:
    try:
        chunk: AsrChunk = _decoder(AsrChunk).decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise DecodeError(str(exc)) from exc
    return chunk


def encode(record: Record) -> bytes:
    """Write one record as JSON; fields at their default are left out."""
    return _encoder.encode(record)
