"""Ends a process that no longer gets anywhere, so that its supervisor can start a new one."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)
CHECK_INTERVAL = 1.0  # seconds


class Stall:
    """Counts how long there was work and no progress; time in which the process itself stood still does not count.

    >>> stall = Stall(limit=2)
    >>> [stall.check(busy=True, mark=7) for _ in range(4)]
    [False, False, False, True]
    >>> stall.check(busy=True, mark=8)
    False
    """

    def __init__(self, limit: float, interval: float = CHECK_INTERVAL) -> None:
        self.limit, self.interval = limit, interval
        self._mark: object = None
        self._stalled = 0.0

    def check(self, *, busy: bool, mark: object) -> bool:
        """Call once an interval; `mark` changes whenever there is progress. True: stalled for longer than the limit."""
        if not busy or mark != self._mark:
            self._mark, self._stalled = mark, 0.0
            return False
        self._stalled += self.interval
        return self._stalled > self.limit


def watch(limit: float, state: Callable[[], tuple[bool, object]], name: str) -> threading.Thread:
    """Exit with code 70 when `state` (busy, mark) stalls for longer than `limit` seconds.

    A thread: it sees a blocked event loop too, as then the marks do not change.
    """
    stall = Stall(limit)

    def guard() -> None:
        while True:
            time.sleep(CHECK_INTERVAL)
            busy, mark = state()
            if stall.check(busy=busy, mark=mark):
                log.critical("%s: work waits and nothing was done for %.0f s; the process ends itself", name, limit)
                os._exit(70)

    thread = threading.Thread(target=guard, name=f"watchdog-{name}", daemon=True)
    thread.start()
    return thread
