"""A provider under test: how it is opened, what it is asked, and what it is asked with."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ops.fakes import Fakes
from ops.fakes.dialect import Dialect
from pipeline.providers import Asked, Delta, End, Item, Provider, ProviderError
from pipeline.providers.base import Replace
from pipeline.providers.catalog import build_provider
from pipeline.providers.guard import Guarded
from pipeline.settings import Settings

KEY = "sk-secret-1234567890"


class Unkept(AssertionError):
    """A provider does not keep what the suite asks for; the message says what."""


@dataclass(frozen=True)
class Place:
    """Where a provider is opened: the fake of its server, a key, how long it waits for an event, and a folder."""

    url: str
    key: str
    timeout: float
    folder: Path


@dataclass(frozen=True)
class Subject:
    """A provider under test.

    Attributes:
        name: of the column in the table.
        open: makes it; it is closed by the suite.
        question: one that it can answer.
        provider: its name, where that is not `name`.
        counts: who says how many tokens were used: its server, nobody (so they are estimated), or it asks no model.
        dialects: fakes of its server by the end of their path; none: only what all keep is run.
        kind: of every reply of the fakes.
        whole: whether its server answers in one piece.
        skips: names of cases that its server cannot show.
    """

    name: str
    open: Callable[[Place], Awaitable[Provider]]
    question: Asked
    provider: str = ""
    counts: Literal["server", "nobody", "nothing"] = "nobody"
    dialects: dict[str, Dialect] = field(default_factory=dict)
    kind: str = ""
    whole: bool = False
    skips: frozenset[str] = frozenset()

    @classmethod
    def installed(cls, name: str, question: str) -> Subject:
        """A provider of an installed package, with the settings of the environment, asked as it is."""

        async def opened(_: Place) -> Provider:
            return build_provider(Settings.from_env({**os.environ, "RAG_PROVIDER": name, "SEARCH_PROVIDER": ""}))

        return cls(name, opened, Asked(question, session_id="contract"))


class Stand:
    """What a case is given: the subject, its server if there is one, and opened providers."""

    def __init__(self, subject: Subject, place: Place, fakes: Fakes, stack: AsyncExitStack) -> None:
        self.subject, self.place, self.fakes = subject, place, fakes
        self._stack = stack

    async def open(self, place: Place | None = None) -> Provider:
        """A provider that is closed when the case is over."""
        provider = await self.subject.open(place or self.place)
        self._stack.push_async_callback(provider.aclose)
        return provider

    async def told(self, provider: Provider, asked: Asked | None = None) -> tuple[list[str], End]:
        """The pieces of an answer, and its end."""
        pieces: list[str] = []
        end: End | None = None
        async for item in provider.stream(asked or self.subject.question):
            if isinstance(item, End):
                end = item
            else:
                pieces.append(item.text)
        if end is None:
            raise Unkept("the stream was over without an End")
        return pieces, end

    async def failure(self, provider: Provider) -> tuple[list[str], ProviderError]:
        """The pieces until it failed, and its error."""
        pieces: list[str] = []
        try:
            async for item in provider.stream(self.subject.question):
                pieces += [] if isinstance(item, End) else [item.text]
        except ProviderError as exc:
            return pieces, exc
        raise Unkept("it did not fail")


def bare(provider: Provider) -> Provider:
    """Without what we put around a provider: the class itself."""
    return provider.inner if isinstance(provider, Guarded) else provider


async def items_of(stream: AsyncGenerator[Item, None]) -> list[Item]:
    """All that it yields."""
    return [item async for item in stream]


def keep(holds: object, otherwise: str) -> None:
    """See that something is so.

    Raises:
        Unkept: it is not.
    """
    if not holds:
        raise Unkept(otherwise)


def is_said(item: object) -> bool:
    """Whether an item is text that a reader is shown."""
    return (isinstance(item, Delta) and bool(item.text)) or isinstance(item, Replace)
