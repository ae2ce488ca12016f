"""Our side: the stage runtime with trivial logic, put together as `agents.apps` puts real stages together."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

from faust.contrib.asgi import bind_to_running_loop

from agents.apps import SWITCH_INTERVAL, make_app, spare_start_up
from agents.logic import Logic
from agents.unit import Unit
from bench.layouts import Step
from pipeline.settings import Settings


class Trivial(Logic):
    """One output for each input, at once on arrival or on the lane of its session."""

    def __init__(self, step: Step) -> None:
        self.name, self.input, self.output = step.name, step.input, step.output
        self.concurrency, self._make = step.concurrency, step.make

    async def arrive(self, unit: Unit) -> bool:
        """Called by the runtime for each record."""
        if self.concurrency:
            return True
        await unit.emit(self._make(unit.record))
        return False

    async def handle(self, unit: Unit) -> None:
        """Called by the runtime on a lane."""
        await unit.emit(self._make(unit.record))


async def start(steps: Sequence[Step], settings: Settings) -> list[Any]:
    """Faust apps that have started, watched by the watchdog as real ones are."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    apps = [make_app(Trivial(step), settings) for step in steps]
    for app in apps:
        await app.stage.prepare()
        bind_to_running_loop(app)
        app.finalize()
    await asyncio.gather(*(app.start() for app in apps))
    spare_start_up()
    return apps
