"""An event loop whose time is not the machine's: when nothing is left to do it jumps to the next timer."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Waiting costs nothing, so minutes of backoffs pass in a moment and every run of a seed is the same."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        selector: Any = self._selector  # type: ignore[attr-defined]
        poll = selector.select

        def jump(timeout: float | None = None) -> Any:
            if timeout is None:
                raise RuntimeError("everything waits for something that never comes")
            self._now += max(0.0, timeout)
            return poll(0)

        selector.select = jump

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._now


def simulate(main: Coroutine[Any, Any, None]) -> None:
    """Run to the end and cancel what is left."""
    loop = SimulatedLoop()
    try:
        loop.run_until_complete(main)
        while left := asyncio.all_tasks(loop):  # some wait for others that they cancel themselves
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.wait(left, timeout=1.0))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
