"""Reads the output of a simulated cluster back, in place of the consumer with which a writer does."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from tests.simulated_cluster import CLUSTER, Stored


class Reader:
    """In place of the consumer with which a writer reads back."""

    def __init__(self, **_: Any) -> None:
        self.cluster, self.at = CLUSTER.get(), 0

    async def start(self) -> None:
        """It needs no start."""

    async def stop(self) -> None:
        """And no stop."""

    def assign(self, partitions: Any) -> None:
        """It reads the output."""

    def pause(self, *partitions: Any) -> None:
        """Nothing is fetched ahead."""

    def resume(self, *partitions: Any) -> None:
        """Nor here."""

    def seek(self, partition: Any, offset: int) -> None:
        self.at = offset

    async def beginning_offsets(self, partitions: Any) -> dict[Any, int]:
        """Nothing is ever deleted."""
        return dict.fromkeys(partitions, 0)

    async def end_offsets(self, partitions: Any) -> dict[Any, int]:
        return dict.fromkeys(partitions, len(self.cluster.input))

    async def offsets_for_times(self, times: Any) -> dict[Any, Any]:
        """A look back of any length."""
        offset = self.cluster.chance.randint(0, len(self.cluster.output))
        return {partition: SimpleNamespace(offset=offset) for partition in times}

    async def getmany(self, partition: Any, timeout_ms: int) -> dict[Any, list[Stored]]:
        await asyncio.sleep(self.cluster.chance.choice([0.0, 0.002]))
        batch = self.cluster.output[self.at : self.at + self.cluster.chance.randint(1, 9)]
        self.at += len(batch)
        return {partition: batch}

    async def position(self, partition: Any) -> int:
        return self.at
