"""A careful client over the public WebSocket: keeps its cursor, sends again what has no ack, comes back elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import websockets

from tests.chaos.evidence import Event

PATIENCE = 5.0  # seconds without an ack, or without a sign of life, until the client goes elsewhere
KEEPALIVE = 2.0  # seconds
Frame = dict[str, Any]


class Cut(Exception):  # noqa: N818 - control flow, not an error
    """This connection is given up."""


class Talker:
    """One client with one session at a time.

    Args:
        name: of the client.
        dice: what it draws its choices from.
        gateways: gives names and ports of the gateways there are.
    """

    def __init__(self, name: str, dice: random.Random, gateways: Callable[[], Mapping[str, int]]) -> None:
        self.name, self.dice, self.gateways = name, dice, gateways
        self.events: list[Event] = []
        self.session = ""
        self.gateway = ""
        self.cursor: str | None = None
        self.first_cursors: dict[str, str] = {}  # of each session: the one before everything
        self.running: str | None = None  # question that is being answered
        self.asked: list[str] = []  # texts of the questions that came back, in order
        self.is_closed = False
        self.waiting = 0  # questions said and not answered
        self.chunks = 0  # of the running answer, heard
        self.is_speaking = False  # a sentence is open
        self.cut_at: str | None = None
        self._pending: Frame | None = None
        self._refused = False
        self._socket: websockets.ClientConnection | None = None
        self._said = 0
        self._is_renewing = False
        self._changed = asyncio.Condition()

    def _note(self, what: str, data: Any, session: str | None = None) -> None:
        self.events.append(Event(self.name, session or self.session, time.time(), what, data))

    # -- the connection --------------------------------------------------------------------------

    async def stay_connected(self) -> None:
        """Connect, and elsewhere again when that ends, until cancelled."""
        while True:
            with contextlib.suppress(Cut, OSError, TimeoutError, websockets.WebSocketException):
                await self._connect()
            self._socket = None
            await asyncio.sleep(0.1)

    async def _connect(self) -> None:
        if self._is_renewing:
            self.cursor, self.running, self.waiting, self.is_closed = None, None, 0, False
        others = [name for name in self.gateways() if name != self.gateway]
        self.gateway = self.dice.choice(others)
        async with websockets.connect(self._url(), open_timeout=3, close_timeout=0.2, ping_interval=None) as socket:
            try:
                await self._greet(socket)
                self._socket = socket
                if self._pending:
                    await self._send(self._pending)
                await self._listen(socket)
            finally:
                self._note("gone", {}) if self.session else None
                socket.transport.abort()

    def _url(self) -> str:
        query = {"session_id": self.session, "cursor": self.cursor} if self.cursor else {}
        return f"ws://127.0.0.1:{self.gateways()[self.gateway]}/ws/realtime-asr?{urlencode(query)}"

    async def _greet(self, socket: websockets.ClientConnection) -> None:
        greeting = json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))
        if "cursor" not in greeting:
            raise Cut  # the broker is away: nothing said here could be found again
        self.session, self._is_renewing = greeting["session_id"], False
        self._note("open", {"gateway": self.gateway, "cursor": self.cursor, "greeting": greeting})
        self.cursor = self.cursor or greeting["cursor"]
        self.first_cursors.setdefault(self.session, greeting["cursor"])

    async def _listen(self, socket: websockets.ClientConnection) -> None:
        asked = 0
        while True:
            try:
                text = await asyncio.wait_for(socket.recv(), KEEPALIVE)
            except TimeoutError:
                if asked * KEEPALIVE > PATIENCE:
                    raise Cut from None
                asked += 1
                await socket.send('{"type": "keepalive"}')
                continue
            asked = 0
            await self._hear(json.loads(text))

    async def _hear(self, message: Frame) -> None:
        if message.get("received_type") == "keepalive":
            return
        self._note("heard", message)
        self.cursor = message.get("cursor", self.cursor)
        self._follow(message)
        if self._pending and message.get("id") == self._pending["id"]:
            self._refused = message["type"] == "error"
            self._pending = self._pending if self._refused else None
        async with self._changed:
            self._changed.notify_all()
        mark = message.get("stage") or ("final" if message.get("final") else message["type"])
        if self.cut_at in (mark, "now"):
            self.cut_at = None
            raise Cut

    def _follow(self, message: Frame) -> None:
        stage = message.get("stage")
        if stage in ("analyzing", "instant_query"):
            self.running, self.chunks = message["question_id"], 0
            self.asked.append(message["question"])
        elif stage in ("idle", "interrupting", "closed"):
            self.running = None
            self.waiting = max(0, self.waiting - 1) if stage == "idle" else 0
        elif message["type"] == "answer":
            self.chunks += 1
        self.is_closed = self.is_closed or stage == "closed"

    # -- speech ----------------------------------------------------------------------------------

    async def say(self, type: str, **fields: Any) -> None:
        """Send a frame until it is acknowledged."""
        self._said += 1
        self._pending = frame = {"type": type, "id": f"{self.name}-{self._said}", **fields}
        await self._send(frame)
        sent = time.monotonic()
        while self._pending is frame:
            if self._refused:
                self._refused = False
                await asyncio.sleep(0.3)
                await self._send(frame)
                sent = time.monotonic()
            elif time.monotonic() - sent > PATIENCE and self._socket is not None:
                self._socket.transport.abort()  # it is sent again on the next connection
                sent = time.monotonic()
            await self.wait(lambda: self._pending is not frame or self._refused, 0.5)

    async def _send(self, frame: Frame) -> None:
        if self._socket is None:
            return
        self._note("sent", frame)
        with contextlib.suppress(websockets.WebSocketException):
            await self._socket.send(json.dumps(frame))

    async def chunk(self, text: str) -> None:
        """Say a final chunk."""
        await self.say("asr_chunk", text=text, is_final=True)

    async def wait(self, condition: Callable[[], Any], seconds: float) -> bool:
        """Wait until a condition over what was heard holds; False when it did not in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(condition)
        return bool(condition())

    async def renew(self) -> None:
        """Begin a new session on a new connection."""
        before, self._is_renewing = self.session, True
        if self._socket is not None:
            self._socket.transport.abort()
        while self.session == before:
            await self.wait(lambda: self.session != before, 0.2)

    # -- a late viewer ---------------------------------------------------------------------------

    async def view_again(self, seconds: float = 4.0) -> None:
        """Read every session again from its beginning, on any gateway, and note what that says."""
        for session, cursor in self.first_cursors.items():
            query = urlencode({"session_id": session, "cursor": cursor})
            port = self.dice.choice(list(self.gateways().values()))
            self._note("again", None, session)
            url = f"ws://127.0.0.1:{port}/ws/realtime-asr?{query}"
            async with websockets.connect(url, open_timeout=10, close_timeout=0.2, ping_interval=None) as socket:
                with contextlib.suppress(TimeoutError):
                    heard = 0
                    while True:
                        text = await asyncio.wait_for(socket.recv(), 1.5 if heard > 2 else seconds)
                        self._note("again", json.loads(text), session)
                        heard += 1
