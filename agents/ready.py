"""Lanes that wait for a worker, by group, so that a group can be put first or held."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

Lane = TypeVar("Lane")


class Ready(Generic[Lane]):
    """Within a group first come, first served; between groups `choose` decides, and those it leaves equal take turns.

    >>> ready = Ready(lambda groups: next(iter(groups)))
    >>> for lane, group in [("a1", "a"), ("a2", "a"), ("b1", "b")]:
    ...     ready.append(lane, group)
    >>> ready.pop(), ready.pop(), ready.pop(), ready.pop()
    ('a1', 'b1', 'a2', None)
    """

    def __init__(self, choose: Callable[[Collection[str]], str | None]) -> None:
        self._choose = choose
        self._groups: dict[str, deque[Lane]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, lane: Lane, group: str) -> None:
        """Put a lane behind those of its group."""
        self._groups.setdefault(group, deque()).append(lane)
        self._count += 1

    def next_group(self) -> str | None:
        """The group whose turn it is; None: there is none, or all are held."""
        return self._choose(self._groups) if self._groups else None

    def pop(self) -> Lane | None:
        """Take the next lane."""
        group = self.next_group()
        if group is None:
            return None
        lanes = self._groups.pop(group)
        lane = lanes.popleft()
        self._count -= 1
        if lanes:
            self._groups[group] = lanes  # behind the others
        return lane

    def keep(self, wanted: Callable[[Lane], bool]) -> None:
        """Drop all lanes but those that are wanted."""
        groups = {group: deque(filter(wanted, lanes)) for group, lanes in self._groups.items()}
        self._groups = {group: lanes for group, lanes in groups.items() if lanes}
        self._count = sum(map(len, self._groups.values()))
