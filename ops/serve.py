"""The gateway process: its server on a port that was taken before anything else happens."""

from __future__ import annotations

import asyncio

import uvloop

from gateway.server import make_server
from ops.ports import listen
from pipeline.settings import Settings


def serve_gateway(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: the port is taken, or the settings do not allow to start.
    """
    with listen(settings.host, settings.port) as port, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(make_server(settings).serve([port]))
