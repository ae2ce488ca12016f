"""A client of the public WebSocket that keeps everything it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx
import websockets

from pipeline.settings import Settings
from tests.workers import Told


class Client:
    """Says frames; `messages` grows as the gateway speaks."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self.messages: list[dict[str, Any]] = []
        self._heard = asyncio.Condition()

    @classmethod
    @asynccontextmanager
    async def at(cls, settings: Settings, query: str = "") -> AsyncIterator[Self]:
        """Connect to the gateway of these settings."""
        async with websockets.connect(f"ws://127.0.0.1:{settings.port}{settings.ws_path}{query}") as socket:
            client = cls(socket)
            listening = asyncio.create_task(client._listen())
            try:
                yield client
            finally:
                listening.cancel()

    async def _listen(self) -> None:
        async for text in self.socket:
            async with self._heard:
                self.messages.append(json.loads(text))
                self._heard.notify_all()

    @property
    def told(self) -> Told:
        """Everything but acks."""
        return Told([message for message in self.messages if message["type"] != "ack"])

    @property
    def session(self) -> str:
        """The connection's own session."""
        return str(self.messages[0]["session_id"])

    @property
    def cursor(self) -> str:
        """Of the last message that had one."""
        return str([message["cursor"] for message in self.messages if "cursor" in message][-1])

    async def until(self, *marks: str, seconds: float = 60.0) -> Told:
        """Wait until these marks came, in this order."""
        return await self.until_told(lambda told: told.has(*marks), seconds)

    async def until_told(self, condition: Callable[[Told], bool], seconds: float = 60.0) -> Told:
        """Wait until a condition over what was told holds."""
        try:
            async with asyncio.timeout(seconds), self._heard:
                await self._heard.wait_for(lambda: condition(self.told))
        except TimeoutError:
            errors = [message for message in self.messages if message["type"] == "error"]
            raise AssertionError(f"was only told {self.told.marks}; {errors}") from None
        return self.told

    async def until_acks(self, number: int, seconds: float = 30.0) -> None:
        """Wait until so many chunks and controls are acknowledged."""
        async with asyncio.timeout(seconds), self._heard:
            await self._heard.wait_for(lambda: sum("received_type" in message for message in self.messages) >= number)

    async def chunk(self, text: str, **fields: Any) -> None:
        """Say a final chunk."""
        frame = {"type": "asr_chunk", "text": text, "is_final": True, **fields}
        await self.socket.send(json.dumps(frame))

    async def control(self, action: str, **fields: Any) -> None:
        """Say a control."""
        await self.socket.send(json.dumps({"type": "control", "action": action, **fields}))

    async def cut(self) -> None:
        """Let the connection go without a closing handshake."""
        self.socket.transport.abort()


async def until_ready(settings: Settings, seconds: float = 60.0) -> None:
    """Wait until the gateway says that all stages are assigned."""
    async with asyncio.timeout(seconds):
        while (await until_answered(settings, "/readyz"))["status"] != "ready":
            await asyncio.sleep(0.1)


async def until_answered(settings: Settings, path: str, seconds: float = 60.0) -> dict[str, Any]:
    """What the gateway says at a path, as soon as it is there."""
    async with asyncio.timeout(seconds), httpx.AsyncClient(timeout=10) as http:
        while True:
            try:
                found: dict[str, Any] = (await http.get(f"http://127.0.0.1:{settings.port}{path}")).json()
            except httpx.TransportError:
                await asyncio.sleep(0.1)
            else:
                return found
