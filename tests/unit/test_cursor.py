"""A place in a session's answers as an opaque string: a resumed client misses nothing and hears nothing twice."""

from __future__ import annotations

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cursor import VERSION, Cursor, CursorError
from pipeline.delivery import Entry, Message, View, fold
from topics.codec import encode
from topics.messages import Begin, Done, Piece, Stopped, Verdict
from topics.sources import BEFORE_ALL, Source

pytestmark = pytest.mark.unit

sources = st.builds(Source, st.integers(-1, 2**40), st.integers(-1, 10_000))
views = st.builds(
    View,
    epoch=st.integers(0, 2**31),
    said=sources,
    replied=sources,
    ended=sources,
    current=st.none() | sources,
    attempt=st.integers(0, 2**31),
    upcoming=st.integers(0, 2**20),
)
LOG = [
    Entry("call", Source(1, 5), 1, Verdict(kind="not_a_question")),
    Entry("call", Source(2, 5), 1, Begin(question="a?", attempt=100)),
    Entry("call", Source(2, 5), 1, Piece(attempt=100, index=0, text="x")),
    Entry("call", Source(2, 5), 2, Begin(question="a?", attempt=200)),
    Entry("call", Source(2, 5), 2, Piece(attempt=200, index=0, text="x")),
    Entry("call", Source(4), 2, Begin(question="b?", attempt=200, mode="instant", withdrawn=["2.5"])),
    Entry("call", Source(4), 2, Done(attempt=200, index=0, why="ok", text="y")),
    Entry("call", Source(6), 2, Stopped()),
]


def packed(*fields: object) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(fields)).decode().rstrip("=")


def follow(log: list[Entry], cursor: Cursor) -> list[Message]:
    """As a gateway does: read the cursor's record again, check it, fold on, leave out what was seen of it."""
    told: list[Message] = []
    view = cursor.view
    for offset, entry in enumerate(log):
        if offset < cursor.offset:
            continue
        if offset == cursor.offset:
            cursor.check(encode(entry.record))
        view, messages = fold(view, entry)
        told += messages[cursor.seen :] if offset == cursor.offset else messages
    return told


@given(
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.integers(0, 2**63 - 1),
    st.integers(0, 9),
    views,
    st.binary(max_size=9),
)
def test_a_cursor_reads_back_for_its_session(session: str, offset: int, seen: int, view: View, value: bytes) -> None:
    cursor = Cursor.at(session, offset, view, seen, value)
    assert Cursor.parse(cursor.dump(), session) == cursor


@given(views)
def test_a_cursor_fits_into_a_url_as_it_is(view: View) -> None:
    text = Cursor.at("通话", 3, view, 1, b"{}").dump()
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    assert len(text) < 200


def test_a_client_cut_after_any_message_resumes_without_a_gap_or_a_repeat() -> None:
    whole = follow(LOG, Cursor.at("call", 0, View()))
    assert len(whole) > len(LOG)
    view, heard = View(), 0
    for offset, entry in enumerate(LOG):
        after, messages = fold(view, entry)
        for seen in range(1, len(messages) + 1):
            text = Cursor.at("call", offset, view, seen, encode(entry.record)).dump()
            assert follow(LOG, Cursor.parse(text, "call")) == whole[heard + seen :]
        view, heard = after, heard + len(messages)


def test_a_cursor_before_any_message_reads_everything() -> None:
    cursor = Cursor.at("call", 0, View())
    assert cursor.view.ended == BEFORE_ALL
    cursor.check(b"whatever stands there")


def test_a_cursor_of_another_session_is_refused() -> None:
    text = Cursor.at("call", 3, View(), 1, b"{}").dump()
    with pytest.raises(CursorError, match="another session"):
        Cursor.parse(text, "other")


def test_a_cursor_of_another_log_is_refused() -> None:
    cursor = Cursor.at("call", 3, View(), 1, b"{}")
    cursor.check(b"{}")
    with pytest.raises(CursorError, match="another log"):
        cursor.check(b'{"type":"ended"}')


@pytest.mark.parametrize("version", [0, VERSION + 1])
def test_a_cursor_of_another_version_is_refused(version: int) -> None:
    fields = (3, 1, 0, "x", 1, (0, 0), (0, 0), (0, 0), None, 0, 0)
    with pytest.raises(CursorError, match="version"):
        Cursor.parse(packed(version, *fields), "call")


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode().strip("=")))
def test_any_text_that_is_no_cursor_is_a_cursor_error(text: str) -> None:
    with pytest.raises(CursorError):
        Cursor.parse(text, "call")


@given(st.data())
def test_a_cursor_that_was_changed_is_another_cursor_or_an_error(data: st.DataObject) -> None:
    text = Cursor.at("call", 300, View(current=Source(2, 5), attempt=100), 1, b"{}").dump()
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.sampled_from("abcXYZ019-_=% é\ud800")) + text[at + 1 :]
    try:
        Cursor.parse(changed, "call").dump()
    except CursorError as exc:
        assert str(exc)


def test_a_cursor_with_deep_nesting_is_a_cursor_error() -> None:
    cursor = Cursor.at("call", 3, View(), 1, b"{}")
    raw = base64.urlsafe_b64decode(cursor.dump() + "==")
    deep = bytes([raw[0] + 1]) + raw[1:] + b"\x91" * 5000 + b"\xc0"  # one more field, nested
    with pytest.raises(CursorError):
        Cursor.parse(base64.urlsafe_b64encode(deep).decode().rstrip("="), "call")


def test_a_place_that_no_log_can_have_is_a_cursor_error() -> None:
    """Kafka counts with 63 bits: a seek beyond them would fail somewhere inside the client."""
    with pytest.raises(CursorError):
        Cursor.parse(Cursor.at("call", 2**63, View()).dump(), "call")
