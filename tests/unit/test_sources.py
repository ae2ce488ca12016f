"""Names of things and the headers that carry them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topics import headers
from topics.sources import BEFORE_ALL, Source, public_id, session_of

pytestmark = pytest.mark.unit

sources = st.builds(Source, st.integers(0, 2**63 - 1), st.integers(0, 10_000))


@given(sources)
def test_a_source_reads_back_as_text_and_as_bytes(source: Source) -> None:
    assert Source.parse(str(source)) == Source.parse(str(source).encode()) == source


@given(sources, sources)
def test_sources_are_ordered_by_record_and_then_by_character(left: Source, right: Source) -> None:
    assert (left < right) == ((left.offset, left.char) < (right.offset, right.char))
    assert left > BEFORE_ALL


def test_a_source_without_a_character_is_the_whole_record() -> None:
    assert Source.parse("12") == Source(12, 0)


@pytest.mark.parametrize("text", ["", ".", ".5", "a.1", "1.a", "1.2.3", "1,2", b"\xff", b"\x00"])
def test_what_is_no_source_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        Source.parse(text)


def test_a_public_id_is_the_session_and_the_source() -> None:
    assert public_id("a/b", Source(3, 4)) == "a/b/3.4"


@pytest.mark.parametrize(
    ("key", "session"), [(b"call", "call"), ("通话".encode(), "通话"), (b"", ""), (None, "3.9"), (b"\xff", "\ufffd")]
)
def test_the_key_is_the_session_and_without_one_the_place(key: bytes | None, session: str) -> None:
    assert session_of(key, 3, 9) == session


@given(sources, st.integers(1, 2**31), st.integers(0, 2**63 - 1))
def test_a_stamp_reads_back(source: Source, epoch: int, origin: int) -> None:
    stamp = headers.read_stamp([("traceparent", b"00-x"), *headers.stamp(source, epoch, origin)])
    assert stamp == headers.Stamp(epoch, source, origin)
    assert not stamp.is_claim


def test_an_epoch_without_a_source_is_a_claim() -> None:
    stamp = headers.read_stamp(headers.claim_stamp(7))
    assert stamp.is_claim and stamp.epoch == 7


def test_a_foreign_record_has_no_stamp_and_is_no_claim() -> None:
    stamp = headers.read_stamp([("content-type", b"application/json")])
    assert stamp == headers.UNSTAMPED
    assert not stamp.is_claim


@pytest.mark.parametrize("name", [headers.EPOCH, headers.SOURCE, headers.FROM])
@pytest.mark.parametrize("value", [b"", b"x", b"\xff", None], ids=repr)
def test_a_header_that_is_not_of_its_form_is_a_value_error(name: str, value: Any) -> None:
    """Kafka allows a header without a value, and anybody may write one."""
    with pytest.raises(ValueError):
        headers.read_stamp([(name, value)])
