"""The gateway put together: the only place where its parts meet; nothing is opened before the server starts it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request, Response, WebSocket
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from gateway import ask, batch_routes, health, knowledge, metrics, problems, replay_routes
from gateway.auth import SUBPROTOCOL, check_origin, principal_of
from gateway.batch import Batch
from gateway.bus import Bus
from gateway.outbox import RESTART
from gateway.problems import Problem
from gateway.replays import Replays
from gateway.results import Results
from gateway.resume import CatchUp
from gateway.sessions import Sessions
from gateway.tasks import Tasks
from gateway.upgrade import Wish, read_wish
from gateway.version import VERSION
from gateway.websocket import Conversation
from gateway.writing import Writing
from pipeline.profiles import read_profile
from pipeline.settings import Settings

CONSOLE = Path(__file__).with_name("console")
_PAGE = {"Content-Security-Policy": "default-src 'self'", "X-Content-Type-Options": "nosniff", "Vary": "Accept"}


class Gateway:
    """What all requests share.

    Attributes:
        conversations: the WebSocket clients that are being served.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.bus = Bus(settings)
        self.sessions = Sessions()
        self.profile = read_profile(settings.question_profile)
        self.catch_up = CatchUp(self.bus)
        self.tasks = Tasks(settings)
        self.results = Results(settings)
        self.writing = Writing(self.tasks, self.results)
        self.batch = Batch(settings, self.tasks, self.results, self.writing)
        self.probe = health.Probe(settings, self.bus)
        self.conversations: set[Conversation] = set()
        self._draining = False

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the bus connected."""
        working = [asyncio.create_task(self.bus.run())]
        if self.settings.batch_enabled:
            working.append(asyncio.create_task(self.tasks.run()))
        try:
            yield
        finally:
            await self.writing.finish()
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
            await self.results.close()
            await self.probe.close()

    def drain(self) -> None:
        """Let every client have what waits for it, then send it away with a code that says: come again."""
        self._draining = True
        for conversation in self.conversations:
            conversation.outbox.finish(RESTART)

    async def converse(self, socket: WebSocket) -> None:
        """Serve one WebSocket client."""
        try:
            wish = self._admit(socket)
        except Problem as problem:
            metrics.ws_refused.labels(problem.code).inc()
            await socket.send_denial_response(problem.response())
            return
        await socket.accept(SUBPROTOCOL if SUBPROTOCOL in socket.scope["subprotocols"] else None)
        conversation = Conversation(socket, self.bus, self.catch_up, self.batch, wish)
        self.conversations.add(conversation)
        try:
            with metrics.ws_connections.track_inprogress():
                await conversation.run()
        finally:
            self.conversations.discard(conversation)

    def _admit(self, socket: WebSocket) -> Wish:
        if self._draining:
            raise Problem(503, "SERVICE_UNAVAILABLE", "this gateway is stopping; connect again")
        check_origin(self.settings, socket.headers)
        principal = principal_of(self.settings, socket.headers, socket.scope["subprotocols"])
        return read_wish(socket.query_params, principal, self.sessions, self.profile)


def create_app(settings: Settings) -> FastAPI:
    """The gateway as an ASGI application; it connects to Kafka in the background and starts without one."""
    gateway = Gateway(settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with gateway.running():
            yield

    app = FastAPI(title=settings.app_name, version=VERSION, lifespan=lifespan)
    app.state.gateway = gateway
    problems.install(app)
    app.include_router(health.routes(settings, gateway.probe, gateway.tasks))
    app.include_router(metrics.routes(settings))
    app.include_router(ask.routes(gateway.bus, gateway.sessions))
    app.include_router(batch_routes.routes(settings, gateway.batch))
    app.include_router(knowledge.routes(settings))
    app.include_router(replay_routes.routes(settings, Replays(settings, gateway.batch)))
    app.add_api_websocket_route(settings.ws_path, gateway.converse)
    app.mount("/console", StaticFiles(directory=CONSOLE, check_dir=False))

    @app.get("/", response_model=None)
    async def root(request: Request, accept: Annotated[str, Header()] = "*/*") -> Response:
        """The console for a browser, else what this is."""
        page = CONSOLE / "index.html"
        if "text/html" in accept and page.is_file():
            return FileResponse(page, headers=_PAGE)
        told: dict[str, Any] = {"name": settings.app_name, "version": VERSION, "status": "running"}
        return JSONResponse(told, headers={"Vary": "Accept"})

    return app
