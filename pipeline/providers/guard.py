"""A provider with breaker, limits, budget and deadlines around it; every answer says who gave it and what it used."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace

from pipeline.providers.account import Account
from pipeline.providers.base import Asked, End, Item, Provider, Replace
from pipeline.providers.breaker import Breaker
from pipeline.providers.errors import (
    BudgetSpent,
    LeftAlone,
    ProviderError,
    ProviderTimeout,
    RequestRefused,
)
from pipeline.providers.limits import Limits
from pipeline.providers.prices import Prices


@dataclass(frozen=True)
class Policy:
    """What a provider may take; 0 is no limit, times in seconds.

    Attributes:
        breaker: failures in a row after which it is left alone.
        concurrency: answers at once.
        rate: questions a minute.
        tokens: of prompts and answers an hour.
        cost: money an hour.
        first_piece: until the first piece of an answer, connection and waiting of the provider included.
        total: for a whole answer.
        counts: whether it uses tokens at all.
        prices: of its models.
        model: that is asked unless the options of a question name one.
    """

    breaker: int = 8
    concurrency: int = 0
    rate: int = 0
    tokens: int = 0
    cost: float = 0.0
    first_piece: float = 0.0
    total: float = 0.0
    counts: bool = True
    prices: Prices | None = None
    model: str = ""


class Guarded(Provider):
    """Asks the provider inside, when it may be asked."""

    def __init__(
        self,
        provider: Provider,
        policy: Policy,
        clock: Callable[[], float] = time.monotonic,
        clean: Callable[[str], str] = str,
    ) -> None:
        """Stand around a provider.

        Args:
            provider: that is asked.
            policy: what it may take.
            clock: seconds, growing.
            clean: takes keys out of what it says when it fails.
        """
        self.name = provider.name
        self.inner, self._policy, self._clock, self._clean = provider, policy, clock, clean
        self.breaker = Breaker(policy.breaker)
        self.limits = Limits(policy.concurrency, policy.rate, clock)
        self.account = Account(
            provider.name,
            clock,
            tokens=policy.tokens,
            cost=policy.cost,
            counts=policy.counts,
            prices=policy.prices,
            model=policy.model,
        )
        self.outcomes: Counter[str] = Counter()  # ok, failed, refused (by us), abandoned

    @property
    def guards(self) -> list[Guarded]:
        """Itself: whoever joins providers lists all of theirs."""
        return [self]

    async def take(self, share: float) -> None:
        """Have another share of limits and budgets, those of the whole installation, from now on."""
        self.account.take(share)
        await self.limits.take(share)

    def state(self) -> str:
        """`closed` (works), `open` (left alone), `half-open` (one question tries it), `spent` (budget)."""
        return "spent" if self.account.spent() else self.breaker.state(self._clock())

    async def stream(self, asked: Asked) -> AsyncGenerator[Item, None]:
        """As the provider inside; `End` has its name and what was used.

        Raises:
            LeftAlone: it failed too often of late.
            BudgetSpent: its tokens or its money of this hour are used up.
            ProviderTimeout: the first piece or the end did not come in time.
            ProviderError: as the provider inside, or it raised something else.
        """
        self._check_budgets()
        total, texts = self._policy.total, list[str]()
        async with self.limits.turn(), aclosing(self.inner.stream(asked)) as items:
            self._check_budgets()  # others may have spent them while we waited for our turn
            self._check_breaker()
            with self._counted(asked, texts) as outcome:
                began = self._clock()
                item = await self._first(items, asked)
                while item is not None:
                    if isinstance(item, End):
                        outcome.append("ok")
                        yield self._ended(item, asked, "".join(texts))
                        return
                    if isinstance(item, Replace):
                        texts.clear()
                    texts.append(item.text)
                    yield item
                    if total and self._clock() - began > total:
                        raise ProviderTimeout(f"{self.name} was not done after {total:g} s.")
                    item = await anext(items, None)
                raise ProviderError(f"{self.name} ended without saying that the answer is whole.", retryable=True)

    async def health(self) -> bool:
        """Whether it may be asked, and says itself that it works."""
        return self.state() in ("closed", "half-open") and await self.inner.health()

    async def aclose(self) -> None:
        """Close what is inside."""
        await self.inner.aclose()

    @contextmanager
    def _counted(self, asked: Asked, texts: list[str]) -> Iterator[list[str]]:
        """Tell breaker, counters and budgets how it ended: `ok` is said, the rest is seen."""
        outcome: list[str] = []
        try:
            yield outcome
        except ProviderError as exc:
            outcome.append("failed")
            exc.args = (self._clean(str(exc)),)
            self._count(exc)
            raise
        except Exception as exc:  # noqa: BLE001 - anybody's code; the next provider of a chain is asked all the same
            outcome.append("failed")
            self.breaker.abandoned()
            told = self._clean(f"{type(exc).__name__}: {exc}")
            raise ProviderError(f"{self.name} failed as it should not: {told}") from exc
        finally:
            self.outcomes[outcome[0] if outcome else "abandoned"] += 1
            if outcome == ["ok"]:
                self.breaker.succeeded()
            elif not outcome:
                self.breaker.abandoned()
            if outcome != ["ok"] and texts:
                self.account.settle(asked, "".join(texts), None)  # it is paid for all the same

    async def _first(self, items: AsyncGenerator[Item, None], asked: Asked) -> Item | None:
        own = asked.options.get("timeout")
        wait = max(self._policy.first_piece, float(own)) if isinstance(own, int | float) else self._policy.first_piece
        if not self._policy.first_piece:
            return await anext(items, None)
        try:
            async with asyncio.timeout(wait):
                return await anext(items, None)
        except TimeoutError as exc:
            raise ProviderTimeout(f"{self.name} began no answer for {wait:g} s.") from exc

    def _ended(self, end: End, asked: Asked, text: str) -> End:
        return replace(end, usage=self.account.settle(asked, text, end.usage), provider=end.provider or self.name)

    def _check_budgets(self) -> None:
        try:
            self.account.check()
        except BudgetSpent:
            self.outcomes["refused"] += 1
            raise

    def _check_breaker(self) -> None:
        now = self._clock()
        if not self.breaker.admits(now):
            self.outcomes["refused"] += 1
            wait = self.breaker.remaining(now)
            raise LeftAlone(f"{self.name} failed too often and is left alone for {wait:.0f} s.", retry_after=wait)

    def _count(self, error: ProviderError) -> None:
        """A failure that lies with the provider; what is wrong with this one question says nothing about the next."""
        if isinstance(error, RequestRefused) or (not error.retryable and error.status is None):
            self.breaker.abandoned()
        else:
            self.breaker.failed(self._clock(), error.retry_after)
