"""Starts connections whole or not at all; whose they are is the caller's affair."""

from __future__ import annotations

from typing import Protocol, TypeVar


class Connection(Protocol):
    """What is started and stopped, as Kafka's producers and consumers are."""

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Let go of everything."""


Started = TypeVar("Started", bound=Connection)


async def started(connection: Started) -> Started:
    """The same, connected; one whose start fails, or is cancelled, leaves nothing open and raises what it met."""
    try:
        await connection.start()
    except BaseException:
        await connection.stop()
        raise
    return connection
