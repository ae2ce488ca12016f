"""Stage of the bulk lane: answers in, rows of results and the progress of tasks out."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from agents.apps import app_on_demand, make_app
from agents.assignment import Assignment
from agents.bookkeeping import Bookkeeping
from agents.logic import Logic
from agents.unit import Unit
from pipeline.errors import ConfigurationError
from pipeline.settings import Settings
from storage.database import StorageError
from storage.rows import Answered
from storage.store import Store
from topics import headers
from topics.catalog import ANSWERS, Lane

log = logging.getLogger(__name__)


class Results(Logic):
    """Gathers what comes and stores it ten times a second; a record is done when its row is stored.

    Rows that are there stay as they are, so it does no harm that a record is read again, or by two.
    """

    name = "results"
    input = ANSWERS
    output = None
    has_timers = True

    def __init__(self, settings: Settings) -> None:
        if settings.lane is not Lane.BULK:
            raise ConfigurationError(
                "The stage results is one of the bulk lane: `realtime-rag worker results --lane bulk`."
            )
        self.settings = settings
        self.store: Store | None = None
        self.books: Bookkeeping | None = None
        self._troubled = False

    async def start(self) -> None:
        """Open the database, and know every task."""
        self.store = await asyncio.to_thread(Store, self.settings)
        self.books = Bookkeeping(self.settings, self.store)
        await self.books.start()

    async def stop(self) -> None:
        """Give all connections back."""
        if self.books is not None:
            await self.books.stop()
        if self.store is not None:
            await asyncio.to_thread(self.store.close)

    def new_memory(self) -> list[Unit]:
        """Records that are not stored yet."""
        return []

    async def arrive(self, unit: Unit) -> bool:
        """Keep it for the next round."""
        unit.hold()
        unit.assignment.memory.append(unit)
        return False

    async def failed(self, unit: Unit, reason: str) -> None:
        """It stands in the dead letters, and there is nobody down the river."""

    async def tick(self, assignment: Assignment, clock: float) -> None:
        """Store what has come of a partition."""
        units: list[Unit] = assignment.memory
        if not units:
            return
        assert self.store is not None and self.books is not None
        answered = [_answered(unit) for unit in units]
        try:
            runs = await asyncio.to_thread(self.store.add, answered)
        except StorageError as exc:
            if not self._troubled:
                log.error("%s It is tried again until it works.", exc)
            self._troubled = True
            return
        self._troubled = False
        assignment.memory = []
        for unit in units:
            unit.release()
        self.books.touch(runs)


def _answered(unit: Unit) -> Answered:
    origins = headers.replay_of(unit.raw.headers, unit.source.char), unit.redrive_of or ""
    return Answered(unit.session, unit.source, unit.raw.partition, unit.time, unit.record, *origins)


def make(settings: Settings) -> Any:
    """The Faust app of this stage."""
    return make_app(Results(settings), settings)


__getattr__ = app_on_demand(make)
