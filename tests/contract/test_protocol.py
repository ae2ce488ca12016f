"""The wire protocol as old and new clients rely on it, over a real socket; the test plays the stages."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import websockets

from pipeline.settings import Settings
from tests.talker import Log, Talker, served
from tests.unit.test_frames import BAD
from topics.messages import Begin, Done, Piece, Reply, Verdict

pytestmark = pytest.mark.contract


@pytest.fixture
async def talker(settings: Settings) -> AsyncIterator[Talker]:
    async with served(settings), Talker.at(settings) as talker:
        yield talker


async def test_every_bad_frame_gets_its_code_and_the_connection_lives(talker: Talker) -> None:
    for data, code, field in BAD:
        await talker.socket.send(data)
        error = await talker.hear()
        assert (error["type"], error["code"]) == ("error", code), data
        assert error["session_id"] and error["message"]
        assert error["details"].get("field") == field and error["details"]["reason"]
    await talker.chunk("who pays?")
    assert (await talker.hear())["received_type"] == "asr_chunk"


async def test_an_error_echoes_id_and_session(talker: Talker) -> None:
    await talker.say("asr_chunk", is_final=True, text="", id="c1", session_id="other")
    error = await talker.hear()
    assert (error["id"], error["session_id"]) == ("c1", "other")
    await talker.socket.send("{")
    assert (await talker.hear())["session_id"] == talker.session


async def test_a_frame_above_4_mib_ends_the_connection_with_1009(talker: Talker) -> None:
    await talker.socket.send("x" * (4 * 1024 * 1024 - 1))
    assert (await talker.hear())["code"] == "INVALID_MESSAGE"
    await talker.socket.send("x" * (4 * 1024 * 1024 + 1))
    assert await talker.close_code() == 1009


async def test_the_greeting_is_an_ack_and_listening(settings: Settings) -> None:
    url = f"ws://127.0.0.1:{settings.port}/ws/realtime-asr"
    async with served(settings), websockets.connect(url) as socket:
        ack, listening = json.loads(await socket.recv()), json.loads(await socket.recv())
    session = ack["session_id"]
    assert ack == {"type": "ack", "message": "connected", "session_id": session, "cursor": ack["cursor"]}
    assert (listening["type"], listening["stage"], listening["session_id"]) == ("status", "listening", session)
    assert isinstance(listening["note"], str)


async def test_interim_and_keepalive_are_acknowledged(talker: Talker) -> None:
    await talker.chunk("who", is_final=False)
    await talker.chunk("", is_final=False)
    await talker.say("keepalive")
    for _ in range(2):
        ack = {"type": "ack", "received_type": "asr_chunk", "is_final": False, "session_id": talker.session}
        assert await talker.hear() == ack
    assert await talker.hear() == {"type": "ack", "received_type": "keepalive", "session_id": talker.session}


async def test_a_control_without_id_is_answered_by_what_it_does(talker: Talker) -> None:
    for action, stage in (("pause", "paused"), ("resume", "listening")):
        await talker.say("control", action=action)
        assert (await talker.hear())["stage"] == stage
    await talker.say("control", action="stop")
    assert [message["stage"] for message in await talker.hear_all(2)] == ["idle", "closed"]
    assert await talker.close_code() == 1000


async def test_what_an_old_client_sees_of_a_question(settings: Settings) -> None:
    async with served(settings), Talker.at(settings) as talker, Log.of(settings) as log:
        await log.answer(talker.session, 0, Verdict(kind="not_a_question", score=0.1, reason="states"))
        waiting = await talker.hear()
        assert (waiting["stage"], waiting["score"], waiting["reason"]) == ("waiting_for_question", 0.1, "states")
        begin = Begin(question="who pays?", attempt=100)
        done = Done(attempt=100, index=1, why="ok", text="The city.", sources=[{"title": "t"}], provider="local")
        await log.answer(talker.session, 1, begin, Piece(attempt=100, index=0, text="The city."), done)
        analyzing, querying, piece, last, idle = await talker.hear_all(5)
        assert (analyzing["stage"], analyzing["question"]) == ("analyzing", "who pays?")
        assert (querying["stage"], querying["question"], querying["mode"]) == ("querying_rag", "who pays?", "standard")
        assert [(m["type"], m["stream_index"], m["final"]) for m in (piece, last)] == [
            ("answer", 0, False),
            ("answer", 1, True),
        ]
        assert piece["content"] + last["content"] == "The city."
        assert last["sources"] == [{"title": "t"}] and last["provider"] == "local"
        assert {"usage", "timings", "attempt", "question_id", "cursor"} <= last.keys()
        assert idle["stage"] == "idle"
        await log.answer(talker.session, 2, Reply(code="NO_FINAL_ASR", message="nothing was said yet"))
        assert (await talker.hear())["code"] == "NO_FINAL_ASR"


@pytest.mark.parametrize(
    ("query", "status"),
    [("format=volc", 400), ("lang=xx", 400), ("profile=wild", 400), ("session_id=a%00", 400), ("ticket=t", 101)],
)
async def test_unknown_parameters_are_refused_before_the_upgrade(settings: Settings, query: str, status: int) -> None:
    url = f"ws://127.0.0.1:{settings.port}{settings.ws_path}?{query}"
    async with served(settings, connected=False):
        assert await _status(url) == status


async def _status(url: str, **options: Any) -> int:
    try:
        async with websockets.connect(url, **options):
            return 101
    except websockets.InvalidStatus as refused:
        problem = json.loads(refused.response.body or b"{}")
        assert problem["status"] == refused.response.status_code
        assert problem["code"] and problem["detail"]
        return refused.response.status_code


async def test_keys_and_pages_are_checked_before_the_upgrade(settings: Settings) -> None:
    keyed = dataclasses.replace(settings, api_keys="one,two", allowed_origins="https://page.example")
    url = f"ws://127.0.0.1:{keyed.port}{keyed.ws_path}"
    one, two = {"X-API-Key": "one"}, {"Authorization": "Bearer two"}
    async with served(keyed):
        assert await _status(url) == 401
        assert await _status(url, additional_headers={"X-API-Key": "three"}) == 401
        assert await _status(url, additional_headers=two) == 101
        assert await _status(url, additional_headers=one, origin="https://evil.example") == 403
        assert await _status(url, additional_headers=one, origin="https://page.example") == 101
        async with Talker.at(keyed, additional_headers=one) as mine:
            assert await _status(f"{url}?session_id={mine.session}", additional_headers=two) == 403
            async with Talker.at(keyed, additional_headers=two) as theirs:
                await theirs.chunk("hello", session_id=mine.session, id="c")
                error = await theirs.hear()
                wanted = ("FORBIDDEN_SESSION", mine.session, "c")
                assert (error["code"], error["session_id"], error["id"]) == wanted
        bearer = "bearer." + base64.urlsafe_b64encode(b"one").decode().rstrip("=")
        offered: Any = ["rtrag.v1", bearer]
        async with Talker.at(keyed, subprotocols=offered) as talker:
            assert talker.socket.subprotocol == "rtrag.v1"


@pytest.fixture
async def http(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with served(settings), httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.port}") as http:
        yield http


async def test_the_root_is_the_console_for_a_browser_and_json_for_the_rest(http: httpx.AsyncClient) -> None:
    told = (await http.get("/")).json()
    assert told.keys() == {"name", "version", "status"} and told["name"] == "realtime-rag"
    page = await http.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.headers["content-type"].startswith("text/html") and "<html" in page.text
    assert (await http.get("/console/app.js")).status_code == 200


async def test_health_has_the_fields_that_clients_know(http: httpx.AsyncClient) -> None:
    health = (await http.get("/health")).json()
    assert health["status"] == "degraded"  # no stage runs here
    assert health["services"].keys() == {"rag", "search", "batch_processing", "bus"}
    assert health["services"]["bus"] is True
    assert health["providers"]["rag"] == {"name": "local", "type": "rag", "status": False}
    assert (await http.get("/livez")).status_code == 200
    ready = await http.get("/readyz")
    assert ready.status_code == 503
    checks = {name: check["ok"] for name, check in ready.json()["checks"].items()}
    stages = dict.fromkeys(["sentences", "questions", "answers"], False)
    assert checks == {"bus": True, "broker": True, "topics": True} | stages


async def test_errors_are_problems(http: httpx.AsyncClient) -> None:
    for response, status, code in [
        (await http.get("/nowhere"), 404, "INVALID_REQUEST"),
        (await http.post("/api/ask", json={}), 422, "INVALID_REQUEST"),
        (await http.post("/api/ask", json={"question": 7}), 422, "INVALID_REQUEST"),
        (await http.post("/api/ask", content=b"{"), 422, "INVALID_REQUEST"),
        (await http.post("/api/ask", json={"question": " "}), 422, "EMPTY_QUESTION"),
        (await http.post("/api/ask", json={"question": "q", "session_id": "a\n"}), 422, "INVALID_REQUEST"),
        (await http.post("/api/ask", json={"question": "q"}, headers={"Origin": "https://evil.example"}), 403, None),
    ]:
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        problem = response.json()
        assert isinstance(problem["detail"], str) and problem["detail"]
        assert problem["code"] == (code or "UNAUTHORIZED")


async def test_the_documentation_is_served(http: httpx.AsyncClient) -> None:
    assert (await http.get("/docs")).status_code == 200
    paths = (await http.get("/openapi.json")).json()["paths"]
    assert {"/api/ask", "/health", "/livez", "/readyz"} <= paths.keys()


async def _answer(log: Log, session: str, *, why: Any = "ok", error: str = "") -> None:
    [(offset, asked)] = await log.said(session, 1)
    begin = Begin(question=asked.text, attempt=100)
    done = Done(attempt=100, index=2, why=why, text="The city.", error=error, sources=[{"n": 1}], provider="p")
    pieces = [Piece(attempt=100, index=index, text=text) for index, text in enumerate(["The ", "city."])]
    await log.answer(session, offset, begin, *pieces, done)


async def test_ask_streams_events_up_to_idle(settings: Settings, http: httpx.AsyncClient) -> None:
    body = {"question": "who pays?", "session_id": "asker", "lang": "en"}
    async with Log.of(settings) as log, http.stream("POST", "/api/ask", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        await _answer(log, "asker")
        lines = [line async for line in response.aiter_lines()]
    events = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    assert events == ["ack", "status", "status", "answer", "answer", "answer", "status"]
    data = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert {message["question_id"] for message in data} == {data[0]["question_id"]}
    assert "".join(message.get("content", "") for message in data) == "The city."


async def test_ask_gives_one_object_if_wanted(settings: Settings, http: httpx.AsyncClient) -> None:
    async with Log.of(settings) as log:
        body = {"question": "who pays?", "session_id": "asker"}
        asking = asyncio.create_task(http.post("/api/ask", json=body, headers={"Accept": "application/json"}))
        await _answer(log, "asker")
        answer = (await asking).json()
    assert (answer["answer"], answer["sources"], answer["found"]) == ("The city.", [{"n": 1}], True)
    assert answer["question_id"].startswith("asker/")


async def test_a_provider_that_failed_is_a_problem_of_ask(settings: Settings, http: httpx.AsyncClient) -> None:
    async with Log.of(settings) as log:
        body = {"question": "who pays?", "session_id": "asker"}
        asking = asyncio.create_task(http.post("/api/ask", json=body, headers={"Accept": "application/json"}))
        await _answer(log, "asker", why="error", error="it is down")
        failed = await asking
    assert failed.status_code == 502
    assert (failed.json()["code"], failed.json()["detail"]) == ("RAG_ERROR", "it is down")
