"""The demo's client speaks the public protocol: against a hand-written gateway that knows only the protocol."""

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from rich.console import Console
from websockets.asyncio.server import ServerConnection, serve

from ops.demo import DemoError, run_demo, run_demos

pytestmark = pytest.mark.contract

SENTENCE = re.compile(r"[^.?]*[.?]")
FAST = 1000.0


class Gateway:
    """Plays the server: acknowledges, cuts at marks, calls what ends in "?" a question and answers it.

    `refuse` is how many chunks get SERVICE_UNAVAILABLE; `silent` a gateway that never answers a question.
    """

    def __init__(self, refuse: int = 0, silent: bool = False, close_after: int = -1) -> None:
        self.refuse, self.silent, self.close_after = refuse, silent, close_after
        self.received: list[dict] = []
        self.stored: dict[str, dict] = {}
        self.paths: list[str] = []
        self._open = ""

    async def talk(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.paths.append(socket.request.path)
        self.stored, self._open = {}, ""
        await self.send(socket, type="ack", message="connected")
        await self.send(socket, type="status", stage="listening")
        async for frame in socket:
            chunk = json.loads(frame)
            self.received.append(chunk)
            if len(self.received) == self.close_after:
                return await socket.close(1012, "draining")
            if self.refuse:
                self.refuse -= 1
                await self.send(socket, type="error", code="SERVICE_UNAVAILABLE", message="wait", id=chunk["id"])
            else:
                await self.store(socket, chunk)

    async def store(self, socket: ServerConnection, chunk: dict) -> None:
        await self.send(socket, type="ack", received_type="asr_chunk", is_final=chunk["is_final"], id=chunk["id"])
        if chunk["id"] in self.stored or not chunk["is_final"]:
            return
        self.stored[chunk["id"]] = chunk
        self._open = f"{self._open} {chunk['text']}"
        while found := SENTENCE.match(self._open):
            self._open = self._open[found.end() :]
            await self.judge(socket, found[0].strip())

    async def judge(self, socket: ServerConnection, sentence: str) -> None:
        if not sentence.endswith("?"):
            return await self.send(socket, type="status", stage="waiting_for_question", text=sentence, reason="no mark")
        asked = {"question": sentence, "question_id": f"s/{len(self.received)}"}
        await self.send(socket, type="status", stage="analyzing", **asked)
        await self.send(socket, type="status", stage="querying_rag", mode="standard", **asked)
        if self.silent:
            return None
        found = "moon" not in sentence
        named = {"type": "answer", "question_id": asked["question_id"], "attempt": 100}
        await self.send(socket, **named, stream_index=0, content=f"About {sentence}", final=False)
        sources = [{"n": 1, "title": "Record"}] if found else []
        await self.send(socket, **named, stream_index=1, content="", final=True, sources=sources, found=found)
        await self.send(socket, type="status", stage="idle", question_id=asked["question_id"])

    async def send(self, socket: ServerConnection, **message: object) -> None:
        await socket.send(json.dumps({"session_id": "s", **message}))

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        async with serve(self.talk, "127.0.0.1", 0) as server:
            yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/realtime-asr"


@pytest.fixture
def transcript(tmp_path):
    path = tmp_path / "talk.txt"
    path.write_text("Ann: Good morning. How will the schools of Wales pay for it?\nBen: Well. Who owns the moon?\n")
    return path


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200)


async def test_every_question_is_answered_and_the_last_line_sums_up(transcript, console):
    async with Gateway().listening() as url:
        code = await run_demos(url, [transcript, transcript], speed=FAST, console=console)
    lines = console.file.getvalue().splitlines()
    assert code == 0
    assert re.fullmatch(
        r"questions 4 · answers 2 · no answer found 2 · median time from final chunk to first answer piece \d+ ms",
        lines[-1],
    )
    assert any(line.startswith("  Ann: Good morning.") for line in lines)
    assert "? How will the schools of Wales pay for it?" in lines
    assert "> About How will the schools of Wales pay for it?" in lines
    assert "    [1] Record" in lines


async def test_a_run_says_which_sentences_were_questions_and_which_were_passed_over(transcript, console):
    gateway = Gateway()
    async with gateway.listening() as url:
        result = await run_demo(url, transcript, speed=FAST, console=console)
    assert [(asked.question, asked.outcome) for asked in result.asked] == [
        ("How will the schools of Wales pay for it?", "answered"),
        ("Who owns the moon?", "not found"),
    ]
    assert list(result.passed_over) == ["Good morning.", "Well."]
    assert gateway.paths == ["/ws/realtime-asr?lang=en"]
    assert {chunk["is_final"] for chunk in gateway.received} == {True, False}


async def test_refused_chunks_are_sent_again_in_order_under_their_ids(transcript, console):
    gateway = Gateway(refuse=3)
    async with gateway.listening() as url:
        result = await run_demo(url, transcript, speed=FAST, console=console)
    ids = [chunk["id"] for chunk in gateway.received]
    assert result.exit_code == 0
    assert ids.count("c1") >= 2
    assert [int(name[1:]) for name in gateway.stored] == sorted(int(name[1:]) for name in gateway.stored)
    assert len(result.asked) == 2


async def test_a_question_that_stays_open_without_any_message_is_a_fault(transcript, console):
    async with Gateway(silent=True).listening() as url:
        result = await run_demo(url, transcript, speed=FAST, patience=0.2, console=console)
    assert result.exit_code == 1
    assert result.faults == ("nothing came from the service for 0.2 s",)


async def test_a_service_that_refuses_for_ever_is_a_fault(transcript, console):
    async with Gateway(refuse=10**6).listening() as url:
        result = await run_demo(url, transcript, speed=FAST, patience=0.2, console=console)
    assert result.faults == ("nothing came from the service for 0.2 s",)


async def test_a_connection_that_the_service_closes_is_said_in_one_line(transcript, console):
    async with Gateway(close_after=2).listening() as url:
        with pytest.raises(DemoError, match="the service closed the connection.*draining"):
            await run_demo(url, transcript, speed=FAST, console=console)


async def test_no_service_at_the_address_is_said_in_one_line(transcript, console):
    with pytest.raises(DemoError, match="is the service running"):
        async with asyncio.timeout(5):
            await run_demo("ws://127.0.0.1:9/ws/realtime-asr", transcript, console=console)
