"""What a stage remembers of the sessions of one partition, bounded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

State = TypeVar("State")
LOOKS = 10  # busy sessions that are passed over for a new one; to pass over thousands for each would take minutes


class Sessions(Generic[State]):
    """State by session; the longest unused idle ones are forgotten above `capacity`.

    Args:
        new: makes the state of a session met for the first time.
        is_idle: whether a state may be forgotten.
        capacity: sessions kept; busy ones are kept beyond it.

    >>> sessions = Sessions(list, lambda state: not state, capacity=1)
    >>> sessions.of("a").append(1)
    >>> sessions.of("b"), sessions.of("c"), sorted(sessions)
    ([], [], ['a', 'c'])
    """

    def __init__(self, new: Callable[[], State], is_idle: Callable[[State], bool], capacity: int = 10_000) -> None:
        self._new, self._is_idle, self._capacity = new, is_idle, capacity
        self._states: OrderedDict[str, State] = OrderedDict()

    def __iter__(self) -> Iterator[str]:
        return iter(self._states)

    def of(self, session: str) -> State:
        """State of a session."""
        state = self._states.get(session)
        if state is None:
            self._forget()
            state = self._states[session] = self._new()
        else:
            self._states.move_to_end(session)
        return state

    def _forget(self) -> None:
        busy = 0
        while len(self._states) >= self._capacity and busy < min(LOOKS, len(self._states)):
            session, state = next(iter(self._states.items()))
            if self._is_idle(state):
                del self._states[session]
            else:
                self._states.move_to_end(session)
                busy += 1
