"""Web search beside a provider: instead of it, before it, after it, or never."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Literal

from pipeline.providers.base import Asked, Delta, End, Item, Provider, Replace
from pipeline.providers.chain import Chain
from pipeline.providers.errors import ProviderError
from pipeline.providers.guard import Guarded

log = logging.getLogger(__name__)

Routing = Literal["keywords", "context", "fallback", "never"]
ROUTINGS: tuple[Routing, ...] = ("keywords", "context", "fallback", "never")
_KEYWORDS = re.compile(r"搜索|查找|最新|新闻|天气|股票|\b(search|find|latest|news|weather|stocks?)\b", re.IGNORECASE)


def wants_search(question: str) -> bool:
    """Whether a question has a word by which people ask for the web.

    >>> [wants_search(text) for text in ("What is the latest version?", "今天天气怎么样", "Who were the founders?")]
    [True, True, False]
    """
    return _KEYWORDS.search(question) is not None


class Searching(Provider):
    """Decides for each question who answers it.

    `keywords`: search answers those that ask for it. `context`: what search finds goes with every question to the
    provider. `fallback`: search answers what the provider failed at before its first piece, or found nothing about.
    """

    def __init__(self, provider: Guarded | Chain, search: Guarded, routing: Routing) -> None:
        self._provider, self._search, self._routing = provider, search, routing
        self.name = provider.name

    @property
    def guards(self) -> list[Guarded]:
        """Those of both."""
        return [*self._provider.guards, self._search]

    def stream(self, asked: Asked) -> AsyncGenerator[Item, None]:
        """As a provider; `End` says who answered."""
        chosen = asked.options.get("use_search")
        if self._routing == "keywords" and (chosen or (chosen is None and wants_search(asked.text))):
            return self._search.stream(asked)
        if self._routing == "context" and chosen is not False:
            return self._with_results(asked)
        if self._routing == "fallback" and chosen is not False:
            return self._then_search(asked)
        return self._provider.stream(asked)

    async def health(self) -> bool:
        """Whether the provider works, or search where it may stand in."""
        return await self._provider.health() or (self._routing == "fallback" and await self._search.health())

    async def aclose(self) -> None:
        """Close both."""
        await self._provider.aclose()
        await self._search.aclose()

    async def _with_results(self, asked: Asked) -> AsyncGenerator[Item, None]:
        found: list[dict[str, object]] = []
        try:
            async with aclosing(self._search.stream(asked)) as items:
                async for item in items:
                    found = item.sources if isinstance(item, End) else []
        except ProviderError as exc:
            log.warning("answering without the web: %s", exc)
        async with aclosing(self._provider.stream(replace(asked, passages=found))) as items:
            async for item in items:
                yield item

    async def _then_search(self, asked: Asked) -> AsyncGenerator[Item, None]:
        spoke = False
        try:
            async with aclosing(self._provider.stream(asked)) as items:
                async for item in items:
                    if isinstance(item, End) and not item.found:
                        break
                    yield item
                    spoke = True
                else:
                    return
        except ProviderError as exc:
            if spoke:
                raise
            log.warning("search is asked: %s", exc)
        async with aclosing(self._instead(asked, spoke)) as items:
            async for item in items:
                yield item

    async def _instead(self, asked: Asked, spoke: bool) -> AsyncGenerator[Item, None]:
        """The web's answer; where the provider said already that it has none, that is replaced."""
        async with aclosing(self._search.stream(asked)) as items:
            async for item in items:
                if spoke and isinstance(item, Delta):
                    item, spoke = Replace(item.text), False
                yield item
