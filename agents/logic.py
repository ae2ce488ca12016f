"""What a stage has to say for itself; the runtime does the rest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from agents.assignment import Assignment
from agents.unit import Unit
from topics.catalog import Topic
from topics.headers import Stamp
from topics.messages import Failed, Record, StageName


class Logic:
    """Base of the stages' logic: one instance a worker, all state in an assignment's memory.

    Attributes:
        name: noun of the stage.
        input: topic it reads.
        output: topic that it alone writes; None: what comes of a record does not go to a topic.
        concurrency: handlers at once on lanes; 0: everything is done on arrival.
        look_back: seconds of its own output that it reads at least when it takes over a partition.
        has_timers: whether `tick` does anything.
        wake: set by the runtime; to be called when groups may go that `choose` held.
    """

    name: StageName
    input: Topic
    output: Topic | None
    concurrency = 0
    look_back = 0.0
    has_timers = False
    wake: Callable[[], None] = staticmethod(lambda: None)

    async def start(self) -> None:
        """Called once, before the stage joins its group."""

    async def stop(self) -> None:
        """Called once, when nothing runs any more."""

    def new_memory(self) -> Any:
        """Memory of a fresh assignment."""
        return None

    def recall(self, memory: Any, session: str, stamp: Stamp, record: Record) -> None:
        """Take one record of our own output, written by a predecessor, into memory."""

    def already(self, unit: Unit) -> bool:
        """Whether a predecessor wrote all that comes of this record."""
        return False

    async def arrive(self, unit: Unit) -> bool:
        """Called for each record in the order of the partition; True: it is to be handled on its session's lane."""
        raise NotImplementedError

    def group(self, session: str) -> str:
        """Sessions of one group wait for each other's turn, see `choose`."""
        return ""

    def choose(self, groups: Collection[str], busy: Sequence[str]) -> str | None:
        """Which of the groups that wait goes next, given the groups of the running handlers; None: none of them yet."""
        return next(iter(groups))

    async def handle(self, unit: Unit) -> None:
        """Handle a record on its lane; it is done when this returns and its outputs are stored."""

    async def failed(self, unit: Unit, reason: str) -> None:
        """Tell the river that a record stands in the dead letters."""
        await unit.emit(Failed(stage=self.name, error=reason))

    async def tick(self, assignment: Assignment, clock: float) -> None:
        """Called ten times a second for each partition with the partition's clock, seconds since 1970."""
