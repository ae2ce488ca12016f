"""An OpenAI-compatible server for tests: it says what a script tells it to, fails where told to, and remembers.

    python -m tests.scripted_openai --port 8010 --script script.json

A script is JSON: `{"replies": {"budget": [REPLY, REPLY], "*": [REPLY]}}`. A key is looked for in the question (the last
user message; the longest key that occurs wins, `*` is any question). The nth call with the same question gets the nth
reply, later calls the last one. So a shorter text for the second attempt is `[{"text": "long …"}, {"text": "short"}]`.
`GET /requests` shows what came, `PUT /script` replaces the script and forgets the calls. `Reply` has all there is.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Reply:
    """One answer. A fault `*_after: n` happens when n pieces are out; seconds for all times."""

    text: str = "This is a scripted answer about what was asked."
    pieces: list[str] | None = None  # instead of text, which is cut into words
    first_delay: float = 0.0  # before the response begins
    delay: float = 0.0  # before each piece
    status: int = 200  # anything else: an error body with `message`
    message: str = "scripted failure"
    headers: dict[str, str] = field(default_factory=dict)  # such as {"retry-after": "2"}
    cut_after: int | None = None  # the connection breaks
    stop_after: int | None = None  # the response ends properly, but without finish_reason and [DONE]
    error_after: int | None = None  # an error object in the stream
    error: dict[str, Any] = field(default_factory=lambda: {"message": "scripted failure", "type": "server_error"})
    garbage_after: int | None = None  # an event that is not JSON
    silence_after: int | None = None  # nothing for `silence` seconds, pings apart
    silence: float = 30.0
    ping: float = 0.0  # seconds between comment lines during a silence; 0: none
    reasoning: str = ""  # comes first, as reasoning_content
    bare: bool = False  # a server that leaves out roles, ids, null fields, finish_reason and usage
    content_type: str = "text/event-stream"

    def words(self) -> list[str]:
        """The pieces in which it is sent; joined they are the text."""
        if self.pieces is not None:
            return self.pieces
        words = self.text.split(" ")
        return [word + " " for word in words[:-1]] + words[-1:]


@dataclass
class Request:
    """What came, and what became of it: `answered`, `disconnected` (the client left), `failed` (as scripted)."""

    question: str
    call: int
    body: dict[str, Any]
    authorization: str
    path: str
    sent: int = 0
    outcome: str = "running"


class Broken(Exception):
    """Makes the server drop the connection in the middle of a response."""


class ScriptedOpenAI:
    """The server as an ASGI application; `requests` grows with every question."""

    def __init__(self, replies: Mapping[str, list[Reply]] | None = None) -> None:
        self.replies = dict(replies or {"*": [Reply()]})
        self.requests: list[Request] = []
        self.changed = asyncio.Condition()
        self._calls: Counter[str] = Counter()

    async def until(self, is_so: Callable[[list[Request]], bool], seconds: float = 5.0) -> None:
        """Wait until the requests are as wanted."""
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(lambda: is_so(self.requests))

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        route = scope["method"], scope["path"]
        if route[1].endswith("/chat/completions"):
            await self._complete(scope, receive, send)
        elif route[1].endswith("/models"):
            await respond(send, 200, {"object": "list", "data": [{"id": "scripted", "object": "model"}]})
        elif route == ("GET", "/requests"):
            await respond(send, 200, [dataclasses.asdict(request) for request in self.requests])
        elif route == ("PUT", "/script"):
            self.replies = read_script(json.loads(await read_body(receive)))
            self.requests, self._calls = [], Counter()
            await respond(send, 200, {"replies": len(self.replies)})
        else:
            await respond(send, 404, {"error": {"message": f"no route {route[1]}"}})

    def _reply_to(self, question: str, call: int) -> Reply:
        keys = sorted((key for key in self.replies if key in question), key=len)
        replies = self.replies[keys[-1]] if keys else self.replies.get("*", [Reply()])
        return replies[min(call, len(replies)) - 1]

    async def _complete(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        body = json.loads(await read_body(receive))
        question = [said["content"] for said in body["messages"] if said["role"] == "user"][-1]
        self._calls[question] += 1
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        request = Request(question, self._calls[question], body, headers.get("authorization", ""), scope["path"])
        self.requests.append(request)
        await self._notify()
        reply = self._reply_to(question, request.call)
        answering = asyncio.create_task(self._answer(request, reply, send))
        leaving = asyncio.create_task(until_disconnect(receive))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                request.outcome = "disconnected"
            elif answering.exception() is not None:
                request.outcome = "failed"
                raise answering.exception() or Broken
        finally:
            answering.cancel()
            leaving.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)
            await self._notify()

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def _answer(self, request: Request, reply: Reply, send: Send) -> None:
        await asyncio.sleep(reply.first_delay)
        if reply.status != 200:
            error = {"message": reply.message, "type": "scripted", "param": None, "code": None}
            await respond(send, reply.status, {"error": error}, reply.headers)
            request.outcome = "failed"
            return
        headers = {"content-type": reply.content_type, **reply.headers}
        await send({"type": "http.response.start", "status": 200, "headers": encoded(headers)})
        async for data in events(request, reply, send):
            await send({"type": "http.response.body", "body": data.encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        request.outcome = "answered" if reply.stop_after is None and reply.error_after is None else "failed"


async def events(request: Request, reply: Reply, send: Send) -> AsyncIterator[str]:
    """The stream of one reply, as server-sent events."""
    usual = {} if reply.bare else {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}

    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> str:
        choice = {"delta": delta} if reply.bare else {"index": 0, "delta": delta, "finish_reason": finish}
        return event({**usual, "choices": [choice], **more})

    if not reply.bare:
        yield chunk({"role": "assistant", "content": None})
    if reply.reasoning:
        yield chunk({"reasoning_content": reply.reasoning})
    words = reply.words()
    for at in range(len(words) + 1):
        async for data in fault(reply, at, send):
            yield data
        if at in (reply.stop_after, reply.error_after):
            return
        if at < len(words):
            await asyncio.sleep(reply.delay)
            yield chunk({"content": words[at]})
            request.sent = at + 1
    if not reply.bare:
        yield chunk({}, "stop")
        counts = {"prompt_tokens": 10, "completion_tokens": len(words), "total_tokens": 10 + len(words)}
        yield event({**usual, "choices": [], "usage": counts})
    yield "data: [DONE]\n\n"


async def fault(reply: Reply, at: int, send: Send) -> AsyncIterator[str]:
    """What goes wrong when `at` pieces are out."""
    if at == reply.cut_after:
        raise Broken
    if at == reply.error_after:
        yield event({"error": reply.error})
    if at == reply.garbage_after:
        yield "data: {not json\n\n"
    if at == reply.silence_after:
        waited = 0.0
        while waited < reply.silence:
            step = min(reply.ping or reply.silence, reply.silence - waited)
            await asyncio.sleep(step)
            waited += step
            yield ": ping\n\nevent: ping\n\n" if reply.ping else ""


def event(value: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


async def read_body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def respond(send: Send, status: int, value: object, headers: Mapping[str, str] | None = None) -> None:
    given = {"content-type": "application/json", **(headers or {})}
    await send({"type": "http.response.start", "status": status, "headers": encoded(given)})
    await send({"type": "http.response.body", "body": json.dumps(value).encode()})


def read_script(script: Mapping[str, Any]) -> dict[str, list[Reply]]:
    """Replies by key, out of a script's JSON."""
    return {key: [Reply(**reply) for reply in replies] for key, replies in script["replies"].items()}


@contextlib.asynccontextmanager
async def serving(application: ScriptedOpenAI) -> AsyncIterator[str]:
    """The server on a free port of the loopback; yields its address without `/v1`."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(application, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve([listener]))
        try:
            while not server.started:  # uvicorn offers nothing to wait for
                await asyncio.sleep(0.005)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


def main() -> None:
    """Serve a script until interrupted."""
    parser = argparse.ArgumentParser(description="OpenAI-compatible server that follows a script.")
    parser.add_argument("--port", type=int, default=8010)
    parser.add_argument("--script", type=Path, help="JSON with replies; none: one friendly answer to everything")
    given = parser.parse_args()
    replies = read_script(json.loads(given.script.read_text(encoding="utf-8"))) if given.script else None
    uvicorn.run(ScriptedOpenAI(replies), port=given.port, log_level="critical", lifespan="off")


if __name__ == "__main__":
    main()
