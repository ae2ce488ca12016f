"""Before the upgrade: who asks, from which page, for which session; what is refused here never becomes a socket."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from gateway.frames import MAX_SESSION, is_session_id
from gateway.problems import Problem
from gateway.sessions import Sessions
from pipeline.cursor import Cursor, CursorError
from pipeline.profiles import BALANCED, Profile, read_profile
from topics.messages import Endpointing

FORMATS = ("native",)
LANGS = ("zh", "en", "auto")


@dataclass(frozen=True)
class Wish:
    """What a client comes for. A cursor that cannot be used is told after the ack, so it stands here as its error."""

    principal: str
    session: str
    sessions: Sessions
    cursor: Cursor | CursorError | None = None
    lang: str | None = None
    profile: str | None = None
    endpointing: Endpointing | None = None


def read_wish(query: Mapping[str, str], principal: str, sessions: Sessions, default: Profile = BALANCED) -> Wish:
    """Read the query parameters of a connection; without `session_id` a new session gets a random one.

    Args:
        query: the parameters.
        principal: who asks.
        sessions: whose session is whose.
        default: the deployment's profile; what the client's does not name is taken from it.

    Raises:
        Problem: 400 for what is unknown, 403 for somebody else's session.
    """
    _one_of(query, "format", FORMATS)
    lang, profile = _one_of(query, "lang", LANGS), query.get("profile")
    try:
        if read_profile(profile, default).model != default.model:
            raise ValueError("The model is the deployment's, see QUESTION_MODEL.")
    except ValueError as exc:
        raise Problem(400, "INVALID_REQUEST", f"profile: {exc}") from exc
    session = query.get("session_id") or str(uuid.uuid4())
    if not is_session_id(session):
        detail = f"session_id must be 1 to {MAX_SESSION} characters without control characters"
        raise Problem(400, "INVALID_REQUEST", detail)
    if not sessions.admit(session, principal):
        raise Problem(403, "FORBIDDEN_SESSION", "this session belongs to somebody else")
    lang = None if lang == "auto" else lang
    cursor = _cursor(query.get("cursor"), session)
    return Wish(principal, session, sessions, cursor, lang, profile, _endpointing(query))


def _endpointing(query: Mapping[str, str]) -> Endpointing | None:
    given = {name: query[name] for name in Endpointing.__struct_fields__ if name in query}
    try:
        return msgspec.convert(given, Endpointing, strict=False) if given else None
    except msgspec.ValidationError as exc:
        known = "silences are seconds up to 10, max_chars is 20 to 2000, early_start is true or false"
        raise Problem(400, "INVALID_REQUEST", f"{exc}; {known}") from exc


def _one_of(query: Mapping[str, str], name: str, known: tuple[str, ...]) -> str | None:
    value = query.get(name)
    if value is not None and value not in known:
        raise Problem(400, "INVALID_REQUEST", f"unknown {name} {value!r}; known are: {', '.join(known)}")
    return value


def _cursor(text: str | None, session: str) -> Cursor | CursorError | None:
    if not text:
        return None
    try:
        return Cursor.parse(text, session)
    except CursorError as exc:
        return exc
