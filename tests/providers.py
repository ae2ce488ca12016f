"""A scripted provider for whole chains, and what a worker needs to be told to ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ops.fakes import Fakes, Reply, serving


@dataclass
class Scripted:
    """A running provider server and the environment that points a worker at it."""

    server: Fakes
    environ: Mapping[str, str]

    def script(self, key: str, *replies: Reply) -> None:
        """What it says to questions that hold `key`: one reply a call, the last one for all later calls."""
        self.server.replies[key] = list(replies)

    def calls(self, key: str) -> int:
        """How often it was asked a question that holds `key`."""
        return sum(key in request.question for request in self.server.requests)


@asynccontextmanager
async def scripted_provider() -> AsyncIterator[Scripted]:
    """An OpenAI-compatible server on loopback."""
    server = Fakes()
    async with serving(server) as url:
        yield Scripted(server, {"RAG_PROVIDER": "openai", "OPENAI_API_KEY": "test", "OPENAI_BASE_URL": url})


def slow(text: str, delay: float = 0.15) -> Reply:
    """An answer whose words come one by one."""
    return Reply(text=text, delay=delay)
