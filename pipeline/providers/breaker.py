"""Circuit breaker: after some failures in a row a provider is left alone for a while, then one question tries it."""

from __future__ import annotations

from typing import Literal

State = Literal["closed", "open", "half-open"]
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 60.0  # seconds; doubled each time that the probe fails


class Breaker:
    """Counts failures; times are seconds of any clock that only grows.

    >>> breaker = Breaker(limit=2)
    >>> breaker.failed(0.0), breaker.failed(0.0), breaker.state(1.0), breaker.admits(1.0)
    (None, None, 'open', False)
    >>> breaker.state(5.0), breaker.admits(5.0), breaker.admits(5.0)
    ('half-open', True, False)
    >>> breaker.succeeded(), breaker.state(6.0)
    (None, 'closed')
    """

    def __init__(self, limit: int) -> None:
        """Args: limit: failures in a row after which it opens; 0: only a provider's Retry-After opens it."""
        self._limit = limit
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._until: float | None = None
        self._probing = False

    def state(self, now: float) -> State:
        """Whether questions pass, none does, or one may try."""
        if self._until is None:
            return "closed"
        return "half-open" if now >= self._until else "open"

    def remaining(self, now: float) -> float:
        """Seconds until a question may try; while another one does, the shortest pause."""
        if self._until is None:
            return 0.0
        return max(self._until - now, 1.0 if self._probing else 0.0)

    def admits(self, now: float) -> bool:
        """Whether a question may pass; half open, the first one to ask is the probe."""
        state = self.state(now)
        if state == "half-open" and not self._probing:
            self._probing = True
            return True
        return state == "closed"

    def succeeded(self) -> None:
        """An answer was whole."""
        self._failures, self._pause, self._until, self._probing = 0, FIRST_PAUSE, None, False

    def abandoned(self) -> None:
        """Nobody waited for the answer: it says nothing, another question may probe."""
        self._probing = False

    def failed(self, now: float, retry_after: float | None = None) -> None:
        """An answer failed, before its first piece or in the middle; `retry_after` opens at once for that long."""
        self._failures += 1
        if self._probing:
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        opens = self._probing or (0 < self._limit <= self._failures)
        self._probing = False
        if opens or retry_after:
            pause = max(self._pause if opens else 0.0, min(retry_after or 0.0, LONGEST_PAUSE))
            self._until = max(self._until or 0.0, now + pause)
