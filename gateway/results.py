"""Results as the gateway reads them from the database; it opens it with the first call that needs it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.problems import Problem
from pipeline.errors import RagError
from pipeline.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from storage.rows import Text
    from storage.store import Store

T = TypeVar("T")
log = logging.getLogger(__name__)


class Results:
    """One database, asked in threads.

    Every call raises Problem 503 when the database is away.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store: Store | None = None
        self._turn = asyncio.Lock()

    async def items(self, task: str, span: range, missing: str) -> list[dict[str, Any]]:
        """Results of a span of items; `missing` is the status of those without one."""
        return await self._ask(lambda store: store.items(task, span, missing))

    async def answers(self, run: str, first: int, count: int) -> tuple[list[dict[str, Any]], int]:
        """Answers of a run from the `first` on, and how many there are in all."""
        return await self._ask(lambda store: store.answers(run, first, count))

    async def add_texts(self, texts: Sequence[Text]) -> None:
        """Keep texts, so that an item shows its own before it has a result; they stand in the topic too."""
        try:
            await self._ask(lambda store: store.add_texts(texts))
        except Problem as exc:
            log.warning("texts are not shown before their results: %s", exc.detail)

    async def close(self) -> None:
        """Let go of the connections."""
        if self._store is not None:
            await asyncio.to_thread(self._store.close)

    async def _ask(self, question: Callable[[Store], T]) -> T:
        try:
            return await asyncio.to_thread(question, await self._opened())
        except RagError as exc:
            raise Problem(503, "SERVICE_UNAVAILABLE", str(exc)) from exc

    async def _opened(self) -> Store:
        async with self._turn:
            if self._store is None:
                from storage.store import Store  # a second of start-up for gateways that need none

                self._store = await asyncio.to_thread(Store, self._settings)
            return self._store
