"""The gateway's HTTP server: uvicorn with the protocol's limits, and an end that sends clients elsewhere."""

from __future__ import annotations

import asyncio
import socket

import uvicorn

from gateway.app import create_app
from gateway.auth import check_binding
from pipeline.settings import Settings

MAX_MESSAGE = 4 * 1024 * 1024  # bytes of a WebSocket message; above it the connection ends with 1009
LEAVE_WITHIN = 5  # seconds for clients to take their last messages and go


class Server(uvicorn.Server):
    """Drains the WebSocket clients before uvicorn cuts them off."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Send every client away with 1012 behind what waits for it, then stop."""
        gateway = self.config.app.state.gateway  # type: ignore[union-attr]
        gateway.drain()
        try:
            async with asyncio.timeout(LEAVE_WITHIN):
                while gateway.conversations:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pass  # uvicorn cuts off who is left
        await super().shutdown(sockets)


def make_server(settings: Settings) -> Server:
    """A server for these settings, not yet started; run it with `serve()` or `run()`.

    Raises:
        ConfigurationError: it would listen beyond this machine and ask nobody for a key.
    """
    check_binding(settings)
    config = uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=settings.debug,
        ws_max_size=MAX_MESSAGE,
        ws_per_message_deflate=False,  # small frames: it costs more than it saves, and 300 KB a connection
        timeout_graceful_shutdown=LEAVE_WITHIN,
        server_header=False,
    )
    return Server(config)
