"""A stage whose process dies at a record that says so: `python -m tests.crashing_stage [concurrency]`."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys

from agents.apps import make_app, run_worker
from agents.logic import Logic
from agents.unit import Unit
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


def main() -> int:
    concurrency = int(sys.argv[1])
    stage = importlib.import_module("agents.questions")
    stage.make = lambda settings: make_app(Crashing(concurrency), settings)  # type: ignore[attr-defined]
    return run_worker(["questions"], Settings.from_env(os.environ))


if __name__ == "__main__":
    sys.exit(main())
