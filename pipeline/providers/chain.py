"""Several providers in a row: the next one is asked when one fails before its first piece."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from pipeline.providers.base import Asked, Item, Provider
from pipeline.providers.errors import ProviderError
from pipeline.providers.guard import Guarded

log = logging.getLogger(__name__)


class Chain(Provider):
    """Asks the first that works. A failure after the first piece comes out: only the caller can replace what came."""

    def __init__(self, providers: Sequence[Guarded]) -> None:
        self._providers = providers
        self.name = ",".join(provider.name for provider in providers)

    @property
    def guards(self) -> list[Guarded]:
        """All of them, in order."""
        return list(self._providers)

    async def stream(self, asked: Asked) -> AsyncGenerator[Item, None]:
        """The first answer that begins; its `End` says who gave it.

        Raises:
            ProviderError: one failed after its first piece, or all before it.
        """
        failures: list[ProviderError] = []
        for provider in self._providers:
            async with aclosing(provider.stream(asked)) as items:
                try:
                    first = await anext(items)
                except ProviderError as exc:
                    log.warning("the next provider is asked: %s", exc)
                    failures.append(exc)
                    continue
                yield first
                async for item in items:
                    yield item
                return
        raise all_failed(failures)

    async def health(self) -> bool:
        """Whether any of them works."""
        for provider in self._providers:
            if await provider.health():
                return True
        return False

    async def aclose(self) -> None:
        """Close all."""
        for provider in self._providers:
            await provider.aclose()


def all_failed(failures: Sequence[ProviderError]) -> ProviderError:
    """One error for all: it is worth another try if one of them is, and then when the first of these says so.

    >>> busy, lost = ProviderError("a is out", retryable=True, retry_after=9.0), ProviderError("b knows nothing")
    >>> error = all_failed([busy, lost])
    >>> str(error), error.retryable, error.retry_after
    ('No provider could answer: a is out; b knows nothing', True, 9.0)
    """
    waits = [failure.retry_after or 0.0 for failure in failures if failure.retryable]
    told = "; ".join(str(failure) for failure in failures)
    after = min(waits) if waits else 0.0
    return ProviderError(f"No provider could answer: {told}", retryable=bool(waits), retry_after=after or None)
