"""The fakes as one ASGI application: every provider by its own paths; it fails where told to and remembers.

`GET /requests` shows what came, `PUT /script` replaces the script (see `scripts.read_script`) and forgets the calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import uvicorn

from ops.fakes.custom import Custom
from ops.fakes.dialect import Call, Dialect
from ops.fakes.dify import Dify
from ops.fakes.openai import ChatCompletions, Responses
from ops.fakes.replies import Reply
from ops.fakes.scripts import choose, read_script
from ops.fakes.serper import Serper
from ops.ports import listen
from pipeline.errors import ConfigurationError

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

DIALECTS: Mapping[str, Dialect] = {
    "/chat/completions": ChatCompletions(),
    "/responses": Responses(),
    "/chat-messages": Dify(),
    "/search": Serper(),
    "/custom": Custom(),
}
CUT = 61  # bytes of a recording that are sent at once
# What a client may look at for free, to see whether we are there.
HEALTH: Mapping[str, Any] = {
    "/models": {"object": "list", "data": [{"id": "scripted", "object": "model"}]},
    "/parameters": {"opening_statement": "", "user_input_form": []},
    "/health": {"status": "healthy"},
    "/": {"status": "healthy"},
}


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


class Fakes:
    """The application; `requests` grows with every question, `stops` with every answer that a client gave up."""

    def __init__(
        self,
        replies: Mapping[str, Sequence[Reply]] | None = None,
        dialects: Mapping[str, Dialect] = DIALECTS,
    ) -> None:
        """Begin with nothing asked.

        Args:
            replies: by a part of the question, as `scripts.choose` takes them.
            dialects: who speaks, by the end of the path.
        """
        self._dialects = dialects
        self.replies: dict[str, Sequence[Reply]] = dict(replies or {"*": [Reply()]})
        self.requests: list[Request] = []
        self.stops: list[str] = []
        self.changed = asyncio.Condition()
        self._calls: Counter[str] = Counter()

    async def until(self, is_so: Callable[[list[Request]], bool], seconds: float = 5.0) -> None:
        """Wait until the requests are as wanted."""
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(lambda: is_so(self.requests))

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One request (ASGI)."""
        if scope["type"] != "http":
            return
        method, path = scope["method"], scope["path"]
        dialect = next((spoken for tail, spoken in self._dialects.items() if path.endswith(tail)), None)
        if method == "POST" and dialect is not None:
            await self._complete(dialect, scope, receive, send)
        elif method == "POST" and path.endswith("/stop"):
            self.stops.append(path.split("/")[-2])
            await respond(send, 200, {"result": "success"})
            await self._notify()
        elif (method, path) == ("GET", "/requests"):
            await respond(send, 200, [dataclasses.asdict(request) for request in self.requests])
        elif (method, path) == ("PUT", "/script"):
            await self._take_script(receive, send)
        elif (found := next((body for tail, body in HEALTH.items() if path.endswith(tail)), None)) is not None:
            await respond(send, 200, found)
        else:
            await respond(send, 404, {"error": {"message": f"no route {path}"}})

    async def _take_script(self, receive: Receive, send: Send) -> None:
        try:
            self.replies = dict(read_script(json.loads(await read_body(receive))))
        except (ConfigurationError, ValueError) as exc:
            await respond(send, 422, {"error": {"message": str(exc)}})
            return
        self.requests, self.stops, self._calls = [], [], Counter()
        await respond(send, 200, {"replies": len(self.replies)})

    def reply_to(self, question: str, call: int) -> Reply:
        """What is answered to the nth call with a question."""
        return choose(self.replies, question, call)

    async def _complete(self, dialect: Dialect, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        try:
            body = json.loads(await read_body(receive))
            question = dialect.question(body)
        except (ValueError, LookupError, TypeError, AttributeError) as exc:
            await respond(send, 400, {"error": {"message": f"this is no request: {exc!r}"}})
            return
        self._calls[question] += 1
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        given = headers.get("authorization") or headers.get("x-api-key", "")
        request = Request(question, self._calls[question], body, given, scope["path"])
        self.requests.append(request)
        await self._notify()
        reply = self.reply_to(question, request.call)
        call = Call(question, request.call, body, reply, reply.words())
        await self._watched(request, self._answer(dialect, request, call, send), receive)

    async def _watched(self, request: Request, answer: Any, receive: Receive) -> None:
        """Answer, unless the client leaves before."""
        answering = asyncio.create_task(answer)
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

    async def _answer(self, dialect: Dialect, request: Request, call: Call, send: Send) -> None:
        reply = call.reply
        await asyncio.sleep(reply.first_delay)
        if reply.status != 200:
            await respond(send, reply.status, dialect.error(reply), reply.headers)
            request.outcome = "failed"
            return
        if reply.wire:
            await self._replay(request, reply, send)
            return
        if not dialect.streams(call):
            await respond(send, 200, dialect.whole(call), reply.headers)
            request.outcome, request.sent = "answered", len(call.words)
            return
        headers = {"content-type": reply.content_type or dialect.content_type(call), **reply.headers}
        await send({"type": "http.response.start", "status": 200, "headers": encoded(headers)})
        async for data in streamed(dialect, request, call):
            await send({"type": "http.response.body", "body": data.encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        request.outcome = "answered" if reply.stop_after is None and reply.error_after is None else "failed"

    async def _replay(self, request: Request, reply: Reply, send: Send) -> None:
        """Send a body as it is, cut anywhere, as networks do."""
        headers = {"content-type": reply.content_type or "text/event-stream", **reply.headers}
        await send({"type": "http.response.start", "status": 200, "headers": encoded(headers)})
        body = reply.wire.encode()
        for at in range(0, len(body), CUT):
            await asyncio.sleep(reply.delay)
            await send({"type": "http.response.body", "body": body[at : at + CUT], "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        request.outcome = "answered"


async def streamed(dialect: Dialect, request: Request, call: Call) -> AsyncIterator[str]:
    """The stream of one reply, with its faults where they belong."""
    reply = call.reply
    for data in dialect.opening(call):
        yield data
    for at in range(len(call.words) + 1):
        async for data in fault(dialect, call, at):
            yield data
        if at in (reply.stop_after, reply.error_after):
            return
        if at < len(call.words):
            if reply.delay:
                await asyncio.sleep(reply.delay)
            yield dialect.piece(call, at)
            request.sent = at + 1
    for data in dialect.closing(call):
        yield data


async def fault(dialect: Dialect, call: Call, at: int) -> AsyncIterator[str]:
    """What goes wrong when `at` pieces are out."""
    reply = call.reply
    if at == reply.cut_after:
        raise Broken
    if at == reply.error_after:
        yield dialect.failure(call)
    if at == reply.garbage_after:
        yield dialect.garbage()
    if at == reply.silence_after:
        waited = 0.0
        while waited < reply.silence:
            step = min(reply.ping or reply.silence, reply.silence - waited)
            await asyncio.sleep(step)
            waited += step
            yield dialect.ping(call) if reply.ping else ""


def encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI wants them."""
    return [(name.encode(), value.encode()) for name, value in headers.items()]


async def read_body(receive: Receive) -> bytes:
    """The whole body of a request."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def until_disconnect(receive: Receive) -> None:
    """Return when the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def respond(send: Send, status: int, value: object, headers: Mapping[str, str] | None = None) -> None:
    """Answer with JSON."""
    given = {"content-type": "application/json", **(headers or {})}
    await send({"type": "http.response.start", "status": status, "headers": encoded(given)})
    await send({"type": "http.response.body", "body": json.dumps(value).encode()})


def make_server(fakes: Fakes) -> uvicorn.Server:
    """The server, not yet started."""
    return uvicorn.Server(uvicorn.Config(fakes, log_level="critical", lifespan="off", timeout_graceful_shutdown=1))


@contextlib.asynccontextmanager
async def serving(fakes: Fakes) -> AsyncIterator[str]:
    """The fakes on a free port of the loopback; yields their address without `/v1`."""
    with listen("127.0.0.1", 0) as listener:
        server = make_server(fakes)
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup([listener])  # not `serve` and `shutdown`, which take 100 ms each to see that all is done
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for sockets in server.servers:
                sockets.close()
            for connection in list(server.server_state.connections):
                connection.shutdown()
            await asyncio.gather(*server.server_state.tasks, return_exceptions=True)
