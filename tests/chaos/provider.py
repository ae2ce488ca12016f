"""A provider with moods: it streams slowly, fails, hangs and breaks off, and never says the same twice."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ops.fakes import Fakes, Reply, serving
from tests.chaos.evidence import Call
from tests.providers import Scripted

PATIENCE = 4.0  # seconds that a worker waits for the next piece
WORDS = (
    "parcel",
    "refund",
    "warehouse",
    "north",
    "winter",
    "driver",
    "label",
    "customs",
    "morning",
    "tariff",
    "weight",
)
FAULTS = ("status", "busy", "refused", "cut", "stop", "error", "garbage", "hang")


class MoodyProvider(Fakes):
    """Every reply is drawn from the seed, the question and the number of the call."""

    def __init__(self, seed: int, fault_rate: float = 0.15) -> None:
        super().__init__()
        self.seed, self.fault_rate = seed, fault_rate

    def reply_to(self, question: str, call: int) -> Reply:
        dice = random.Random(f"{self.seed} {question} {call}")
        length = dice.randint(6, 24) if call == 1 else dice.randint(1, 14)
        text = f"Answer {call}: " + " ".join(dice.choice(WORDS) for _ in range(length)) + "."
        delay = dice.choice((0.02, 0.05, 0.1, 0.2, 0.3))
        first = dice.choice((0.02, 0.1, 0.5, 1.0, 3.0))
        fault = dice.choice(FAULTS) if dice.random() < self.fault_rate else ""
        after = dice.randint(0, length)
        return Reply(
            text=text,
            delay=delay,
            first_delay=first,
            status={"status": 500, "busy": 429, "refused": 400}.get(fault, 200),
            cut_after=after if fault == "cut" else None,
            stop_after=after if fault == "stop" else None,
            error_after=after if fault == "error" else None,
            garbage_after=after if fault == "garbage" else None,
            silence_after=after if fault == "hang" else None,
            silence=3 * PATIENCE,
        )

    def calls(self) -> list[Call]:
        """What it was asked so far, one entry a call."""
        return [Call(request.question, request.call, request.outcome) for request in self.requests]


class SteadyProvider(MoodyProvider):
    """Never fails, takes 50 to 500 ms for an answer, and says which question it is for."""

    def reply_to(self, question: str, call: int) -> Reply:
        dice = random.Random(f"{self.seed} {question} {call}")
        return Reply(text=f"Answer {call} to: {question}", first_delay=dice.uniform(0.05, 0.5))


@asynccontextmanager
async def provider_with(server: MoodyProvider) -> AsyncIterator[Scripted]:
    """The provider on loopback, and what a worker has to be told of it."""
    async with serving(server) as url:
        environ = {"RAG_PROVIDER": "openai", "OPENAI_API_KEY": "test", "OPENAI_BASE_URL": url}
        yield Scripted(server, environ | {"OPENAI_TIMEOUT": str(PATIENCE)})
