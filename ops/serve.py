"""The gateway process: our application under uvicorn on a port that was taken before anything else happens."""

from __future__ import annotations

import asyncio

import uvicorn
import uvloop

from ops.ports import listen
from pipeline.settings import Settings

MAX_FRAME = 4 * 1024 * 1024  # bytes; a longer one closes the connection with 1009
GRACE = 5.0  # seconds for open requests after SIGTERM; WebSockets are told at once to come back (1012)


async def serve_gateway(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        RagError: the port is taken, or the settings do not allow to start.
    """
    from gateway.app import create_app  # after the settings have been read and checked

    with listen(settings.host, settings.port) as server_socket:
        config = uvicorn.Config(
            create_app(settings),
            lifespan="on",
            ws="websockets",
            ws_max_size=MAX_FRAME,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=round(GRACE),
        )
        await uvicorn.Server(config).serve([server_socket])


def run(settings: Settings) -> None:
    """Serve in an event loop of libuv, until a signal."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_gateway(settings))
