"""Client frames in, what they ask for or an error of the registry out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.frames import ChunkFrame, ControlFrame, KeepaliveFrame, ProtocolError, ack, error, read_frame
from topics.messages import AsrChunk

pytestmark = pytest.mark.unit

CHUNK = {"type": "asr_chunk", "text": "hi", "is_final": True}


def _frame(**fields: Any) -> str:
    return json.dumps(fields)


def _nested(depth: int) -> str:
    return json.dumps(CHUNK)[:-1] + ', "x": ' + "[" * (depth - 1) + "]" * (depth - 1) + "}"


BAD: list[tuple[str | bytes, str, str | None]] = [
    ('{"type":', "INVALID_JSON", None),
    ("", "INVALID_JSON", None),
    ("hello", "INVALID_JSON", None),
    ('{"type":"keepalive"} {}', "INVALID_JSON", None),
    ('{"type":"asr_chunk","text":"\\ud800","is_final":true}', "INVALID_JSON", None),
    ('{"type":"asr_chunk","text":"a","is_final":true,"timestamp":1e999}', "INVALID_JSON", None),
    ('{"type":"asr_chunk","text":"a","is_final":true,"timestamp":NaN}', "INVALID_JSON", None),
    ("[]", "INVALID_MESSAGE", "frame"),
    ("null", "INVALID_MESSAGE", "frame"),
    ('"text"', "INVALID_MESSAGE", "frame"),
    (b'{"type":"keepalive"}', "INVALID_MESSAGE", "frame"),
    ("{}", "INVALID_MESSAGE", "type"),
    (_frame(type=None), "INVALID_MESSAGE", "type"),
    (_frame(type=7), "INVALID_MESSAGE", "type"),
    (_frame(type=["asr_chunk"]), "INVALID_MESSAGE", "type"),
    (_frame(type=""), "UNSUPPORTED_TYPE", "type"),
    (_frame(type="whisper", task_id="t"), "UNSUPPORTED_TYPE", "type"),
    (_frame(type="subscribe"), "INVALID_MESSAGE", "task_id"),
    (_frame(type="subscribe", task_id=7), "INVALID_MESSAGE", "task_id"),
    (_frame(type="ASR_CHUNK"), "UNSUPPORTED_TYPE", "type"),
    (_frame(type="asr_chunk", is_final=True), "INVALID_MESSAGE", "text"),
    (_frame(**CHUNK | {"text": None}), "INVALID_MESSAGE", "text"),
    (_frame(**CHUNK | {"text": 7}), "INVALID_MESSAGE", "text"),
    (_frame(type="asr_chunk", text="a"), "INVALID_MESSAGE", "is_final"),
    (_frame(**CHUNK | {"is_final": "true"}), "INVALID_MESSAGE", "is_final"),
    (_frame(**CHUNK | {"is_final": 1}), "INVALID_MESSAGE", "is_final"),
    (_frame(**CHUNK | {"timestamp": "now"}), "INVALID_MESSAGE", "timestamp"),
    (_frame(**CHUNK | {"timestamp": True}), "INVALID_MESSAGE", "timestamp"),
    (_frame(**CHUNK | {"start_ms": []}), "INVALID_MESSAGE", "start_ms"),
    (_frame(**CHUNK | {"speaker": {}}), "INVALID_MESSAGE", "speaker"),
    (_frame(**CHUNK | {"segment_id": 1.5}), "INVALID_MESSAGE", "segment_id"),
    (_frame(**CHUNK | {"lang": 5}), "INVALID_MESSAGE", "lang"),
    (_frame(**CHUNK | {"id": "x" * 65}), "INVALID_MESSAGE", "id"),
    (_frame(**CHUNK | {"id": ""}), "INVALID_MESSAGE", "id"),
    (_frame(**CHUNK | {"id": 5}), "INVALID_MESSAGE", "id"),
    (_frame(**CHUNK | {"session_id": ""}), "INVALID_MESSAGE", "session_id"),
    (_frame(**CHUNK | {"session_id": "s" * 129}), "INVALID_MESSAGE", "session_id"),
    (_frame(**CHUNK | {"session_id": "a\nb"}), "INVALID_MESSAGE", "session_id"),
    (_frame(**CHUNK | {"session_id": 5}), "INVALID_MESSAGE", "session_id"),
    (_frame(**CHUNK | {"text": "x" * 10_001}), "INVALID_MESSAGE", "text"),
    (_frame(**CHUNK | {"text": "x" * 66_000}), "INVALID_MESSAGE", "frame"),
    (json.dumps(CHUNK | {"text": "字" * 22_000}, ensure_ascii=False), "INVALID_MESSAGE", "frame"),
    (_nested(33), "INVALID_MESSAGE", "frame"),
    (_nested(5000), "INVALID_MESSAGE", "frame"),
    (_frame(**CHUNK | {"text": ""}), "EMPTY_QUESTION", "text"),
    (_frame(**CHUNK | {"text": " \n\u3000"}), "EMPTY_QUESTION", "text"),
    (_frame(type="control"), "INVALID_MESSAGE", "action"),
    (_frame(type="control", action=None), "INVALID_MESSAGE", "action"),
    (_frame(type="control", action=[]), "INVALID_MESSAGE", "action"),
    (_frame(type="control", action="dance"), "UNKNOWN_ACTION", "action"),
    (_frame(type="control", action="cancel", question_id=5), "INVALID_MESSAGE", "question_id"),
]


@pytest.mark.parametrize(("data", "code", "field"), BAD, ids=[f"{str(bad[0])[:60]} -> {bad[1]}" for bad in BAD])
def test_a_bad_frame_has_a_code_and_says_which_field_and_why(data: str | bytes, code: str, field: str | None) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_frame(data)
    assert caught.value.code == code
    assert caught.value.details.get("field") == field
    assert caught.value.details["reason"]


def test_a_chunk_keeps_every_field_and_unknown_ones_are_passed_over() -> None:
    fields = {"timestamp": 3, "segment_id": 7, "speaker": "A", "lang": "zh", "start_ms": 0, "end_ms": 9.5}
    frame = read_frame(_frame(**CHUNK, **fields, id="c1", session_id="call 7", mood="good"))
    chunk = AsrChunk(text="hi", id="c1", **fields)  # type: ignore[arg-type]
    assert frame == ChunkFrame(session="call 7", id="c1", chunk=chunk)


def test_null_is_as_good_as_absent_for_what_is_optional() -> None:
    fields = dict.fromkeys(["timestamp", "segment_id", "speaker", "lang", "start_ms", "end_ms", "id", "session_id"])
    assert read_frame(_frame(**CHUNK, **fields)) == ChunkFrame(chunk=AsrChunk(text="hi"))


@pytest.mark.parametrize(
    "text", [_nested(32), _frame(**CHUNK | {"text": "x" * 10_000}), _frame(**CHUNK | {"session_id": "s" * 128})]
)
def test_what_is_just_within_the_limits_is_taken(text: str) -> None:
    assert isinstance(read_frame(text), ChunkFrame)


def test_an_empty_interim_is_taken() -> None:
    frame = read_frame(_frame(**CHUNK | {"text": "", "is_final": False}))
    assert isinstance(frame, ChunkFrame) and frame.chunk.text == ""


@pytest.mark.parametrize("action", ["pause", "resume", "stop", "instant_query", "cancel"])
def test_every_action_is_known(action: str) -> None:
    assert read_frame(_frame(type="control", action=action, question_id="s/1.2")) == ControlFrame(
        action=action,  # type: ignore[arg-type]
        question_id="s/1.2",
    )


def test_an_error_carries_id_and_session_where_they_can_be_read() -> None:
    with pytest.raises(ProtocolError) as caught:
        read_frame(_frame(type="asr_chunk", id="c1", session_id="s"))
    assert (caught.value.id, caught.value.session) == ("c1", "s")
    with pytest.raises(ProtocolError) as caught:
        read_frame(_frame(type="asr_chunk", id=5, session_id=7))
    assert (caught.value.id, caught.value.session) == (None, None)


def test_a_keepalive_may_name_a_session() -> None:
    assert read_frame(_frame(type="keepalive", session_id="s")) == KeepaliveFrame(session="s")


@given(st.text() | st.binary())
def test_any_bytes_are_a_frame_or_an_error_of_the_registry(data: str | bytes) -> None:
    with pytest.raises(ProtocolError):
        read_frame(data)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
_fields = st.sampled_from(["type", "text", "is_final", "action", "id", "session_id", "timestamp", "speaker"])
_words = st.sampled_from(["asr_chunk", "control", "keepalive", "stop", "cancel"])


@given(st.dictionaries(_fields, _words | _json))
def test_any_object_is_a_frame_or_an_error_of_the_registry(raw: dict[str, Any]) -> None:
    try:
        read_frame(json.dumps(raw))
    except ProtocolError as exc:
        assert exc.code.isupper()


def test_replies_name_the_session_and_leave_out_what_is_not_there() -> None:
    assert ack("s", received_type="keepalive") == {"type": "ack", "received_type": "keepalive", "session_id": "s"}
    told = error("s", "UNKNOWN_ACTION", "unknown", {"field": "action"}, "c1")
    assert told["details"] == {"field": "action"} and told["id"] == "c1"
    assert error("s", "SERVER_ERROR", "failed").keys() == {"type", "session_id", "code", "message"}
