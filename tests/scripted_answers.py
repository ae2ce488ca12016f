"""The answers stage with a provider whose every answer can be told from every other, for the simulated cluster."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from agents.answers import Answers
from pipeline.providers.base import Asked, Delta, End
from pipeline.providers.errors import ProviderError
from pipeline.settings import Settings

if TYPE_CHECKING:
    from tests.simulated_cluster import Worker

SETTINGS = Settings(handler_deadline=1e9, question_ttl=60.0, answers_concurrency=2)


class ScriptedAnswers(Answers):
    """The stage's logic with a provider that says numbered pieces and fails now and then."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(SETTINGS)
        self.worker = worker

    async def start(self) -> None:
        """Nothing to open."""
        self.provider = Script(self.worker)


class Script:
    """A provider of which every answer can be told from every other."""

    name = "script"

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    async def stream(self, asked: Asked) -> AsyncGenerator[Delta | End, None]:
        """`serial.0 serial.1 …`, then the end or a failure."""
        cluster = self.worker.cluster
        pieces = [f"{len(cluster.scripts)}.{index} " for index in range(cluster.chance.randint(0, 3))]
        fails = cluster.chance.random()
        cluster.scripts.append("".join(pieces))
        for piece in pieces:
            await self.worker.gate()
            yield Delta(piece)
        await self.worker.gate()
        if fails < 0.15:
            raise ProviderError("no more", retryable=fails < 0.1)
        yield End()

    async def health(self) -> bool:
        """Always."""
        return True

    async def aclose(self) -> None:
        """Nothing to give back."""
