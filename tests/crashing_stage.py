"""Stages whose process dies at a record that says so: `python -m tests.crashing_stage inline|lanes|answers`."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import AsyncGenerator

from agents.answers import Answers
from agents.apps import make_app, run_worker
from agents.logic import Logic
from agents.unit import Unit
from pipeline.providers.base import Asked, Delta, End
from pipeline.settings import Settings
from topics.catalog import QUESTIONS, SENTENCES
from topics.headers import Stamp
from topics.messages import NotAQuestion, Record
from topics.sources import Source

DEADLY = "boom"


class Crashing(Logic):
    """Passes sentences on, each once; at the deadly one the process is gone in the middle of it."""

    name = "questions"
    input = SENTENCES
    output = QUESTIONS

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency

    def new_memory(self) -> set[Source]:
        """Nothing passed on yet."""
        return set()

    def recall(self, memory: set[Source], session: str, stamp: Stamp, record: Record) -> None:  # noqa: ARG002
        """What stands in the output."""
        assert stamp.source is not None
        memory.add(stamp.source)

    async def arrive(self, unit: Unit) -> bool:
        if unit.source in unit.assignment.memory:
            return False
        if self.concurrency:
            return True
        await self.handle(unit)
        return False

    async def handle(self, unit: Unit) -> None:
        if unit.record.text == DEADLY:
            os._exit(9)
        if self.concurrency:
            await asyncio.sleep(0.05)  # so that several run at once
        await unit.emit(NotAQuestion(text=unit.record.text, score=0.0, reason=""))


class Shaky:
    """A provider in whose hands the process dies at the deadly question, when some of the answer was shown."""

    name = "shaky"

    async def stream(self, asked: Asked) -> AsyncGenerator[Delta | End, None]:
        yield Delta("It is ")
        await asyncio.sleep(0.3)  # longer than pieces are gathered
        if asked.text == DEADLY:
            os._exit(9)
        yield Delta("so.")
        yield End()

    async def health(self) -> bool:
        return True

    async def aclose(self) -> None:
        """Nothing to give back."""


class ShakyAnswers(Answers):
    """The answers stage with that provider."""

    async def start(self) -> None:
        self.provider = Shaky()


def logic(kind: str, settings: Settings) -> Logic:
    """One of the stages of this module."""
    return ShakyAnswers(settings) if kind == "answers" else Crashing(concurrency=4 if kind == "lanes" else 0)


def main() -> int:
    settings, kind = Settings.from_env(os.environ), sys.argv[1]
    name = logic(kind, settings).name
    stage = importlib.import_module(f"agents.{name}")
    stage.make = lambda settings: make_app(logic(kind, settings), settings)  # type: ignore[attr-defined]
    return run_worker([name], settings)


if __name__ == "__main__":
    sys.exit(main())
