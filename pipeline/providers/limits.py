"""How much of a provider one worker may use: answers at once, questions a minute, tokens and money an hour.

The limits are those of the whole installation. A worker takes the share of its lane, as the settings divide them, times
the share of the lane's partitions that it has: so workers need not talk to each other; a rebalance moves the shares.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

HOUR, MINUTE = 3600.0, 60.0


class Limits:
    """Lets questions through one by one; those that are too many wait in order. 0 is no limit."""

    def __init__(self, concurrency: int, rate: int, clock: Callable[[], float]) -> None:
        """Args: concurrency: answers at once; rate: questions a minute, evenly spread; clock: seconds, growing."""
        self._concurrency, self._rate, self._clock = concurrency, rate, clock
        self._share = 1.0
        self._running = 0
        self._free_at = 0.0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a place, and have it for as long as the answer runs."""
        if self._concurrency:
            async with self._changed:
                await self._changed.wait_for(self._has_room)
        self._running += 1
        try:
            await self._pace()
            yield
        finally:
            self._running -= 1
            if self._concurrency:
                async with self._changed:
                    self._changed.notify_all()

    async def take(self, share: float) -> None:
        """Have another share of the limits from now on, above 0 up to 1."""
        self._share = share
        async with self._changed:
            self._changed.notify_all()

    def _has_room(self) -> bool:
        return self._running < max(1, int(self._concurrency * self._share))

    async def _pace(self) -> None:
        if not self._rate:
            return
        now = self._clock()
        starts = max(now, self._free_at)
        self._free_at = starts + MINUTE / max(self._rate * self._share, 1e-3)
        if starts > now:
            await asyncio.sleep(starts - now)


class Budget:
    """What was used in the last hour, tokens or money; times are seconds of any clock that only grows.

    >>> budget = Budget(100)
    >>> budget.spend(60, now=0.0), budget.spend(50, now=10.0), budget.wait(now=20.0), budget.wait(now=3600.5)
    (None, None, 3580.0, 0.0)
    """

    def __init__(self, limit: float) -> None:
        """Args: limit: of an hour; 0: none."""
        self.limit = limit
        self.share = 1.0
        self.spent = 0.0
        self._entries: deque[tuple[float, float]] = deque()

    def spend(self, amount: float, now: float) -> None:
        """Count what an answer used; without a limit too, for the figures."""
        if amount:
            self._forget(now)
            last = self._entries.pop() if self._entries and now - self._entries[-1][0] < 1.0 else (now, 0.0)
            self._entries.append((last[0], last[1] + amount))
            self.spent += amount

    def wait(self, now: float) -> float:
        """Seconds until there is something left; 0: there is."""
        self._forget(now)
        if not self.limit or self.spent < self.limit * self.share:
            return 0.0
        over = self.spent - self.limit * self.share
        for at, amount in self._entries:
            over -= amount
            if over < 0:
                return at + HOUR - now
        return HOUR

    def _forget(self, now: float) -> None:
        while self._entries and self._entries[0][0] <= now - HOUR:
            self.spent -= self._entries.popleft()[1]
        if not self._entries:
            self.spent = 0.0  # sums of money do not come out even
