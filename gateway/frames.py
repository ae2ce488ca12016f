"""Client frames to what they ask for, and the gateway's own replies: the wire protocol without a socket."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

import orjson

from pipeline.delivery import Message
from topics.messages import AsrChunk

MAX_FRAME = 64 * 1024  # bytes
MAX_TEXT = 10_000  # characters
MAX_DEPTH = 32
MAX_ID = 64
MAX_SESSION = 128

Action = Literal["pause", "resume", "stop", "instant_query", "cancel"]


class ProtocolError(Exception):
    """A frame that cannot be taken: an error code of the protocol, and what the client should look at."""

    def __init__(self, code: str, message: str, details: Message | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.details = code, message, details or {}
        self.session: str | None = None
        self.id: str | None = None


@dataclass(frozen=True)
class Frame:
    """What every frame may carry: the session that it means, and an id that comes back with the reply."""

    session: str | None = None
    id: str | None = None


@dataclass(frozen=True)
class ChunkFrame(Frame):
    """A piece of recognised speech."""

    chunk: AsrChunk = field(default_factory=lambda: AsrChunk(text=""))


@dataclass(frozen=True)
class ControlFrame(Frame):
    """A command; `question_id` is for `cancel`."""

    action: Action = "pause"
    question_id: str | None = None


@dataclass(frozen=True)
class KeepaliveFrame(Frame):
    """Only wants to be answered."""


@dataclass(frozen=True)
class SubscribeFrame(Frame):
    """Wants to hear of a batch task until it ends."""

    task_id: str = ""


def read_frame(data: str | bytes) -> Frame:
    """Read one WebSocket frame; `bytes` means that it came as a binary one.

    >>> read_frame('{"type":"keepalive","session_id":"call-7"}').session
    'call-7'

    Raises:
        ProtocolError: with the code of the protocol; it carries the frame's session and id where they can be read.
    """
    raw = _object(data)
    try:
        return _frame(raw)
    except ProtocolError as exc:
        exc.session = raw["session_id"] if is_session_id(raw.get("session_id")) else None
        exc.id = raw["id"] if _is_id(raw.get("id")) else None
        raise


def is_session_id(value: object) -> bool:
    """Whether a client may name a session so: 1 to 128 characters without control characters."""
    return (
        isinstance(value, str)
        and 1 <= len(value) <= MAX_SESSION
        and not any(unicodedata.category(char) in ("Cc", "Cs") for char in value)
    )


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= MAX_ID


def _object(data: str | bytes) -> dict[str, Any]:
    if isinstance(data, bytes):
        raise _invalid("frame", "frames must be text, this one is binary")
    if len(data) > MAX_FRAME or len(data.encode("utf-8", "surrogatepass")) > MAX_FRAME:
        raise _invalid("frame", f"a frame may have {MAX_FRAME} bytes")
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        if "depth" in exc.msg:
            raise _invalid("frame", f"nesting may be {MAX_DEPTH} deep") from exc
        raise ProtocolError("INVALID_JSON", "this is not JSON", {"reason": exc.msg, "position": exc.pos}) from exc
    if _deeper_than(MAX_DEPTH, raw):
        raise _invalid("frame", f"nesting may be {MAX_DEPTH} deep")
    if not isinstance(raw, dict):
        raise _invalid("frame", "a frame must be a JSON object")
    return raw


def _deeper_than(depth: int, value: Any) -> bool:
    level = [value]
    for _ in range(depth):
        level = [child for item in level for child in _children(item)]
    return any(isinstance(item, dict | list) for item in level)


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _frame(raw: dict[str, Any]) -> Frame:
    kind = _text(raw, "type", required=True)
    if kind not in ("asr_chunk", "control", "subscribe", "keepalive"):
        known = "asr_chunk, control, subscribe, keepalive"
        raise ProtocolError("UNSUPPORTED_TYPE", f"unknown type {kind!r}", {"field": "type", "reason": f"not {known}"})
    session, id = raw.get("session_id"), raw.get("id")
    if session is not None and not is_session_id(session):
        raise _invalid("session_id", f"must be 1 to {MAX_SESSION} characters without control characters")
    if id is not None and not _is_id(id):
        raise _invalid("id", f"must be a string of 1 to {MAX_ID} characters")
    if kind == "asr_chunk":
        return ChunkFrame(session, id, _chunk(raw, id))
    if kind == "control":
        return ControlFrame(session, id, _action(raw), _text(raw, "question_id"))
    if kind == "subscribe":
        return SubscribeFrame(session, id, cast(str, _text(raw, "task_id", required=True)))
    return KeepaliveFrame(session, id)


def _chunk(raw: dict[str, Any], id: str | None) -> AsrChunk:
    text = cast(str, _text(raw, "text", required=True))
    if len(text) > MAX_TEXT:
        raise _invalid("text", f"may have {MAX_TEXT} characters")
    is_final = raw.get("is_final")
    if not isinstance(is_final, bool):
        raise _invalid("is_final", "must be true or false")
    chunk = AsrChunk(
        text=text,
        is_final=is_final,
        id=id,
        timestamp=_number(raw, "timestamp"),
        segment_id=_name(raw, "segment_id"),
        speaker=_name(raw, "speaker"),
        lang=_text(raw, "lang"),
        start_ms=_number(raw, "start_ms"),
        end_ms=_number(raw, "end_ms"),
    )
    if is_final and not text.strip():
        raise ProtocolError("EMPTY_QUESTION", "a final chunk has no text", {"field": "text", "reason": "is empty"})
    return chunk


def _action(raw: dict[str, Any]) -> Action:
    action = _text(raw, "action", required=True)
    if action not in get_args(Action):
        known = ", ".join(get_args(Action))
        raise ProtocolError(
            "UNKNOWN_ACTION", f"unknown action {action!r}", {"field": "action", "reason": f"not {known}"}
        )
    return cast(Action, action)


def _text(raw: dict[str, Any], name: str, *, required: bool = False) -> str | None:
    value = raw.get(name)
    if isinstance(value, str) or (value is None and not required):
        return value
    raise _invalid(name, "is missing" if name not in raw else "must be a string")


def _number(raw: dict[str, Any], name: str) -> float | None:
    value = raw.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _invalid(name, "must be a finite number")
    return float(value)


def _name(raw: dict[str, Any], name: str) -> str | int | None:
    value = raw.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | None):
        raise _invalid(name, "must be a string or a whole number")
    return value


def _invalid(name: str, reason: str) -> ProtocolError:
    return ProtocolError("INVALID_MESSAGE", f"{name}: {reason}", {"field": name, "reason": reason})


def ack(session: str, *, id: str | None = None, **fields: Any) -> Message:
    """An acknowledgement: `message` or `received_type` in `fields`; the frame's id comes back."""
    return {"type": "ack", **fields, "session_id": session} | ({"id": id} if id is not None else {})


def status(session: str, stage: str, note: str) -> Message:
    """What the gateway itself says of a session."""
    return {"type": "status", "session_id": session, "stage": stage, "note": note}


def error(session: str, code: str, message: str, details: Message | None = None, id: str | None = None) -> Message:
    """An error of the registry; `details` says which field and why."""
    given = {"details": details, "id": id}
    named = {name: value for name, value in given.items() if value}
    return {"type": "error", "session_id": session, "code": code, "message": message, **named}
