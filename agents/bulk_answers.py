"""The answers stage on the bulk lane: whole answers only, and batch tasks say whose turn it is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from agents.answers import Answers, Pending
from agents.bulk import Tasks
from agents.unit import Unit
from pipeline.answers import Conversation, withdrawn_units
from pipeline.batches import OURS, place_of
from pipeline.errors import ConfigurationError
from pipeline.providers.base import Provider
from pipeline.providers.catalog import build_provider
from pipeline.providers.errors import ProviderError
from pipeline.settings import Settings
from topics.messages import AnswerRecord, Begin, Piece, Reply
from topics.sources import Source


class BulkAnswers(Answers):
    """Items of a task that is cancelled are neither begun nor gone on with; those of a paused one wait."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.concurrency = settings.batch_max_concurrent
        self.tasks = Tasks(settings, self._withdraw_task, lambda: self.wake())
        self._others: dict[str, Provider] = {}

    async def start(self) -> None:
        """Know every task before the first item comes."""
        await super().start()
        await self.tasks.start()

    async def stop(self) -> None:
        """Give all connections back."""
        await self.tasks.stop()
        await super().stop()

    def group(self, session: str) -> str:
        """The run, which for items is their task."""
        return place_of(session).run

    def choose(self, groups: Collection[str], busy: Sequence[str]) -> str | None:
        """As the tasks have it."""
        return self.tasks.choose(groups, busy)

    def provider_of(self, waiting: Pending) -> Provider:
        """The one that the task names, else that of the settings.

        Raises:
            ProviderError: there is no such provider, or its settings are missing here.
        """
        name = self._wishes(waiting).get("provider")
        if not name or name == self.settings.rag_provider:
            return super().provider_of(waiting)
        if str(name) not in self._others:
            try:
                self._others[str(name)] = build_provider(replace(self.settings, rag_provider=str(name)), self.known)
            except ConfigurationError as exc:
                raise ProviderError(f"this worker cannot ask {name!r}: {exc}", retryable=False) from exc
        return self._others[str(name)]

    def options_of(self, waiting: Pending) -> Mapping[str, Any]:
        """Without what is meant for us."""
        return {name: value for name, value in self._wishes(waiting).items() if name not in OURS}

    def _wishes(self, waiting: Pending) -> Mapping[str, Any]:
        """Those of the task, and over them those of the record."""
        task = self.tasks.of(waiting.unit.session)
        return {**(task.options if task else {}), **waiting.options}

    async def say(self, unit: Unit, record: AnswerRecord, source: Source | None = None, release: Any = ()) -> None:
        """Write what readers of results want; the conversation is of no interest to them."""
        if isinstance(record, Begin | Piece | Reply):
            for released in release:
                released.release()
            return
        await super().say(unit, record, source, release)

    async def _take_turn(self, waiting: Pending, conversation: Conversation[Unit]) -> None:
        task = self.tasks.of(waiting.unit.session)
        if task is not None and task.is_withdrawn:
            waiting.withdrawn_by = waiting.source
        elif task is not None:
            await self.tasks.begin(task)
        await super()._take_turn(waiting, conversation)
        if waiting.withdrawn_by == waiting.source:
            for unit in withdrawn_units([waiting])[1:]:
                unit.release()

    def _withdraw_task(self, task: str) -> None:
        for waiting in self.running:
            if place_of(waiting.unit.session).run == task and waiting.withdrawn_by is None and not waiting.ending:
                waiting.withdrawn_by = waiting.source
                self._interrupt(waiting)
