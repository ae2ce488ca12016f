"""A gateway for tests of its clients: it serves the console page and speaks the protocol; the test writes its log."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from pipeline.delivery import Entry, View, fold
from topics.messages import AnswerRecord
from topics.sources import Source

CONSOLE = Path(__file__).parents[1] / "gateway" / "console"
Frame = dict[str, Any]


class PlayedGateway:
    """Acknowledges what a client says and sends what the test writes into the session's log.

    Attributes:
        frames: every frame that came, in order.
        queries: the query parameters of every connection.
        refusals: error codes for the next final chunks, instead of their acks.
        silent: whether it leaves final chunks unanswered.
    """

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.queries: list[dict[str, str]] = []
        self.refusals: list[str] = []
        self.silent = False
        self.session = str(uuid.uuid4())
        self.log: list[Frame] = []
        self.view = View()
        self.socket: WebSocket | None = None
        self.paused = False
        self.changed = asyncio.Condition()

    async def serve(self, socket: WebSocket) -> None:
        await socket.accept()
        self.socket, self.paused = socket, False
        query = dict(socket.query_params)
        async with self.changed:
            self.queries.append(query)
            self.changed.notify_all()
        seen = int(query.get("cursor", f"c{len(self.log)}").removeprefix("c"))
        resumed = {"resumed": True} if "cursor" in query else {}
        await self.send({"type": "ack", "message": "connected", "cursor": f"c{len(self.log)}", **resumed})
        await self.send({"type": "status", "stage": "listening", "note": "ready"})
        for message in self.log[seen:]:
            await self.send(message)
        try:
            while True:
                await self.take(await socket.receive_json())
        except WebSocketDisconnect:
            return

    async def take(self, frame: Frame) -> None:
        async with self.changed:
            self.frames.append(frame)
            self.changed.notify_all()
        if self.silent and frame.get("is_final"):
            return
        if frame.get("is_final") and self.refusals:
            code = self.refusals.pop(0)
            await self.send({"type": "error", "code": code, "message": "as the test wants it", "id": frame["id"]})
            return
        await self.acknowledge(frame)
        match frame.get("action"):
            case "pause":
                self.paused = True
                await self.send({"type": "status", "stage": "paused", "note": "paused"})
            case "resume":
                self.paused = False
                await self.send({"type": "status", "stage": "listening", "note": "again"})
            case "stop":
                await self.send({"type": "status", "stage": "idle", "note": "stopped"})
                await self.send({"type": "status", "stage": "closed", "note": "closed"})
                await self.cut(1000)

    async def acknowledge(self, frame: Frame) -> None:
        ack = {"type": "ack", "received_type": frame["type"]}
        echoed = {name: frame[name] for name in ("id", "is_final") if name in frame}
        paused = {"message": "paused"} if self.paused and frame["type"] == "asr_chunk" else {}
        await self.send(ack | echoed | paused)

    async def send(self, message: Frame) -> None:
        assert self.socket is not None
        await self.socket.send_json({"session_id": self.session} | message)

    async def write(self, offset: int, *records: AnswerRecord, live: bool = True) -> None:
        """Append answers records of one source to the log, and send what they mean to a client."""
        for record in records:
            self.view, messages = fold(self.view, Entry(self.session, Source(offset, 1), 1, record))
            for message in messages:
                self.log.append(message | {"cursor": f"c{len(self.log) + 1}"})
                if live:
                    await self.send(self.log[-1])

    async def came(self, number: int = 1, **wanted: Any) -> list[Frame]:
        """Wait until at least this many frames with these values came."""

        def matching() -> list[Frame]:
            return [frame for frame in self.frames if wanted.items() <= frame.items()]

        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(lambda: len(matching()) >= number)
        return matching()

    async def connected(self, times: int) -> None:
        """Wait until a client connected that many times."""
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(lambda: len(self.queries) >= times)

    async def cut(self, code: int = 1012) -> None:
        assert self.socket is not None
        await self.socket.close(code)


def app(gateway: PlayedGateway) -> FastAPI:
    """Serve the page as the gateway does, with the strictest policy that it has to live with."""
    app = FastAPI()
    app.mount("/console", StaticFiles(directory=CONSOLE))
    app.add_api_route("/", lambda: FileResponse(CONSOLE / "index.html"))
    app.add_api_websocket_route("/ws/realtime-asr", gateway.serve)

    @app.middleware("http")
    async def policy(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers["Content-Security-Policy"] = "default-src 'self'"
        return response

    return app


@asynccontextmanager
async def serving(gateway: PlayedGateway) -> AsyncIterator[str]:
    """Serve it on loopback; yields its address."""
    config = uvicorn.Config(app(gateway), host="127.0.0.1", port=0, log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await task
