"""Ports of this machine: whether one is taken, and a free one instead."""

from __future__ import annotations

import errno
import socket

from pipeline.errors import ConfigurationError


def listen(host: str, port: int) -> socket.socket:
    """Take a port (0: any free one) for a server.

    Raises:
        ConfigurationError: the port is taken, may not be used, or the host is not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # named, as asyncio turns Nagle's algorithm off only then: 40 ms a message otherwise
    server = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((host, port))
    except (OSError, OverflowError) as exc:
        server.close()
        raise ConfigurationError(_explain(host, port, exc)) from exc
    return server


def _explain(host: str, port: int, exc: Exception) -> str:
    number = exc.errno if isinstance(exc, OSError) else None
    if number == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken by another process. Stop that process or choose another PORT."
    if number == errno.EACCES:
        return f"Port {port} needs more rights than this user has. Choose a PORT above 1023."
    return f"Cannot listen on HOST={host} PORT={port}: {exc}. Choose an address of this machine and a port up to 65535."


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could take the port now."""
    try:
        listen(host, port).close()
    except ConfigurationError:
        return False
    return True


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on."""
    with listen(host, 0) as server:
        port: int = server.getsockname()[1]
        return port
