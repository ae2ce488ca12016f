"""Outputs of one partition on their way to the broker."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.unit import Unit

_Waiting = tuple["asyncio.Future[Any]", "Unit", Sequence["Unit"]]


class Outputs:
    """A partition's outputs are stored in the order in which they were sent.

    So only the oldest gets a callback, which settles all that are stored by then: a callback for each would cost a
    record more than its handler.

    Attributes:
        end: one past the last stored output.
    """

    __slots__ = ("_waiting", "end")

    def __init__(self) -> None:
        self.end = 0
        self._waiting: deque[_Waiting] = deque()

    def add(self, future: asyncio.Future[Any], unit: Unit, release: Sequence[Unit]) -> None:
        """Wait for an output of a unit; when it is stored, the unit and those in `release` lose a hold."""
        self._waiting.append((future, unit, release))
        if len(self._waiting) == 1:
            future.add_done_callback(self._settle)

    def _settle(self, _: asyncio.Future[Any]) -> None:
        waiting = self._waiting
        while waiting and waiting[0][0].done():
            future, unit, release = waiting.popleft()
            error = asyncio.CancelledError() if future.cancelled() else future.exception()
            if error is None:
                self.end = future.result().offset + 1
                for held in release:
                    held.release()
                unit.release()
            unit.stage.delivered(error)
        if waiting:
            waiting[0][0].add_done_callback(self._settle)
