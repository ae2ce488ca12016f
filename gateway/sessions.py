"""What this gateway remembers of sessions beside the log: who opened them, and the latest final text it heard."""

from __future__ import annotations

from collections import OrderedDict

REMEMBERED = 100_000  # sessions; the oldest are forgotten first


class Sessions:
    """Owners and latest texts; both are only as old as this process."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._owners: OrderedDict[str, str] = OrderedDict()
        self._latest: OrderedDict[str, str] = OrderedDict()

    def admit(self, session: str, principal: str) -> bool:
        """Whether the principal may use the session; who comes first owns it."""
        return self._keep(self._owners, session, self._owners.get(session, principal)) == principal

    def hear(self, session: str, text: str) -> None:
        """A final chunk was said in the session."""
        self._keep(self._latest, session, text)

    def latest(self, session: str) -> str | None:
        """Text of the latest final chunk, where this gateway heard one."""
        return self._latest.get(session)

    def _keep(self, table: OrderedDict[str, str], session: str, value: str) -> str:
        table[session] = value
        table.move_to_end(session)
        if len(table) > self._remembered:
            table.popitem(last=False)
        return value
