"""The cases of a subject, each run on a fake of its own: by pytest, or all of them for a table."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ops.contract import cases as every
from ops.contract import served
from ops.contract.failures import FAILURES
from ops.contract.subjects import KEY, Place, Stand, Subject
from ops.fakes import Fakes, Reply, serving
from ops.fakes.server import DIALECTS

Check = Callable[[Stand], Awaitable[None]]
PATIENCE, WITHIN = 30.0, 60.0  # seconds that a provider waits for an event, and that a case may take
# Served cases that make sense where a server answers in one piece.
WHOLE = {"keeps status and retry after", "says that nobody listens", "tells no key in a refusal", "first piece late"}
WHOLE |= {name for name, failure in FAILURES.items() if failure.reply.status != 200}


class _OfKind(Fakes):
    """Fakes whose every reply is of the kind that the subject is about."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(dialects=subject.dialects or DIALECTS)
        self._kind = subject.kind

    def reply_to(self, question: str, call: int) -> Reply:
        """As the fakes."""
        return replace(super().reply_to(question, call), kind=self._kind)


@dataclass(frozen=True)
class Bound:
    """One case of one subject."""

    subject: Subject
    name: str
    case: Check

    def __str__(self) -> str:
        """Subject and name, as an id of pytest."""
        return f"{self.subject.name}|{self.name}"

    def check(self) -> None:
        """Run it.

        Raises:
            Unkept: the provider does not keep it.
            ProviderError: the provider failed where it should have answered.
        """
        asyncio.run(self.run())

    async def run(self) -> None:
        """As `check`, in a loop that runs."""
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="realtime-rag-contract-")))
            fakes = _OfKind(self.subject)
            place = Place(await stack.enter_async_context(serving(fakes)), KEY, PATIENCE, folder)
            async with asyncio.timeout(WITHIN):
                await self.case(Stand(self.subject, place, fakes, stack))


def cases(subject: Subject) -> list[Bound]:
    """All that a subject has to keep; more of it where there is a fake of its server."""
    named: dict[str, Check] = {_name(case): case for case in every.CASES}
    if subject.dialects:
        more: dict[str, Check] = {**{_name(case): case for case in served.CASES}, **FAILURES}
        named |= {name: case for name, case in more.items() if name in WHOLE or not subject.whole}
    return [Bound(subject, name, case) for name, case in named.items() if name not in subject.skips]


def _name(case: Check) -> str:
    return getattr(case, "__name__", "").replace("_", " ")
