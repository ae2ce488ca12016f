"""Who gets in: the address, the key, the page, the session."""

from __future__ import annotations

import base64

import pytest

from gateway.auth import ANYBODY, check_binding, check_origin, principal_of
from gateway.problems import Problem
from gateway.sessions import Sessions
from gateway.upgrade import read_wish
from pipeline.cursor import Cursor, CursorError
from pipeline.delivery import View
from pipeline.errors import ConfigurationError
from pipeline.settings import Settings
from topics.messages import Endpointing

pytestmark = pytest.mark.unit

KEYED = Settings(api_keys="first, schlüssel")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_loopback_needs_no_key(host: str) -> None:
    check_binding(Settings(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "example.org"])
def test_listening_beyond_this_machine_is_refused_with_what_to_do(host: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_binding(Settings(host=host))
    assert all(name in str(caught.value) for name in ("HOST", "API_KEYS", "ALLOW_UNAUTHENTICATED"))
    check_binding(Settings(host=host, api_keys="k"))
    check_binding(Settings(host=host, allow_unauthenticated=True))


def test_without_keys_everybody_is_the_same() -> None:
    assert principal_of(Settings(), {}) == ANYBODY


@pytest.mark.parametrize(
    ("headers", "subprotocols"),
    [
        ({"x-api-key": "first"}, []),
        ({"authorization": "Bearer first"}, []),
        ({"authorization": "bearer first"}, []),
        ({}, ["rtrag.v1", "bearer." + base64.urlsafe_b64encode(b"first").decode().rstrip("=")]),
    ],
)
def test_a_key_comes_in_a_header_or_a_subprotocol(headers: dict[str, str], subprotocols: list[str]) -> None:
    assert principal_of(KEYED, headers, subprotocols) == principal_of(KEYED, {"x-api-key": "first"})
    assert principal_of(KEYED, headers, subprotocols) != principal_of(KEYED, {"x-api-key": "schlüssel"})


@pytest.mark.parametrize(
    ("headers", "subprotocols"),
    [
        ({}, []),
        ({"x-api-key": "third"}, []),
        ({"x-api-key": "first, schlüssel"}, []),
        ({"authorization": "Basic first"}, []),
        ({"authorization": "Bearer"}, []),
        ({}, ["bearer.first"]),
        ({}, ["bearer.!!!"]),
        ({}, ["bearer."]),
        ({"x-api-key": "\udcff"}, []),
    ],
)
def test_without_one_of_the_keys_nobody_gets_in(headers: dict[str, str], subprotocols: list[str]) -> None:
    with pytest.raises(Problem) as caught:
        principal_of(KEYED, headers, subprotocols)
    assert (caught.value.status, caught.value.code) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    ("settings", "origin"),
    [
        (Settings(), None),
        (Settings(), "http://127.0.0.1:3000"),
        (Settings(), "http://localhost:8000"),
        (Settings(), "http://[::1]:8000"),
        (Settings(allowed_origins="https://a.example, https://b.example"), "https://b.example"),
        (Settings(host="0.0.0.0", allow_unauthenticated=True), "https://rag.example"),
        (KEYED, "https://rag.example"),
    ],
)
def test_own_listed_and_loopback_pages_may_come(settings: Settings, origin: str | None) -> None:
    check_origin(settings, {"host": "rag.example"} | ({"origin": origin} if origin is not None else {}))


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "https://127.0.0.1.evil.example", "http://["])
def test_other_pages_may_not(origin: str) -> None:
    with pytest.raises(Problem) as caught:
        check_origin(KEYED, {"host": "rag.example", "origin": origin})
    assert caught.value.status == 403


def test_a_name_that_points_at_loopback_is_not_our_own_page() -> None:
    with pytest.raises(Problem):
        check_origin(Settings(), {"host": "rebound.example:8000", "origin": "http://rebound.example:8000"})


@pytest.mark.parametrize(
    "query",
    [
        {"format": "whisper"},
        {"lang": "fr"},
        {"lang": ""},
        {"profile": "wild"},
        {"max_silence": "0"},
        {"min_silence": "nan"},
        {"max_chars": "many"},
        {"early_start": "perhaps"},
        {"session_id": "a\x00b"},
        {"session_id": "s" * 129},
    ],
)
def test_what_is_unknown_is_refused_before_the_upgrade(query: dict[str, str]) -> None:
    with pytest.raises(Problem) as caught:
        read_wish(query, ANYBODY, Sessions())
    assert caught.value.status == 400
    assert next(iter(query)) in caught.value.detail


def test_a_new_session_has_a_random_name() -> None:
    wish = read_wish({"format": "native", "lang": "auto"}, ANYBODY, Sessions())
    assert len(wish.session) == 36 and wish.lang is None and wish.cursor is None
    assert read_wish({}, ANYBODY, Sessions()).session != wish.session


def test_when_sentences_end_and_questions_start_is_the_connections_own_wish() -> None:
    wish = read_wish({"max_silence": "0.8", "early_start": "true"}, ANYBODY, Sessions())
    assert wish.endpointing == Endpointing(max_silence=0.8, early_start=True)


def test_a_session_belongs_to_who_opened_it() -> None:
    sessions = Sessions()
    mine = read_wish({}, "me", sessions).session
    read_wish({"session_id": mine}, "me", sessions)
    with pytest.raises(Problem) as caught:
        read_wish({"session_id": mine}, "you", sessions)
    assert (caught.value.status, caught.value.code) == (403, "FORBIDDEN_SESSION")


def test_a_cursor_is_read_or_its_fault_is_kept_for_after_the_ack() -> None:
    cursor = Cursor.at("s", 3, View())
    assert read_wish({"session_id": "s", "cursor": cursor.dump()}, ANYBODY, Sessions()).cursor == cursor
    assert isinstance(read_wish({"session_id": "t", "cursor": cursor.dump()}, ANYBODY, Sessions()).cursor, CursorError)
    assert isinstance(read_wish({"cursor": "?"}, ANYBODY, Sessions()).cursor, CursorError)
