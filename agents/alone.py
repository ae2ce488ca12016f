"""Runs records alone, each one named in the commit before, so that the one that kills the process is known after."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from agents.assignment import Assignment, Gone
from agents.suspicion import ALONE

if TYPE_CHECKING:
    from agents.runtime import Stage
    from agents.unit import Unit

T = TypeVar("T")
RETRY_PAUSE = 0.1  # seconds between two tries of a commit that was not accepted


class Lethal(Exception):  # noqa: N818 - becomes the reason of a dead letter
    """A record killed its process while it ran alone."""


def watched(concurrency: int) -> int:
    """How many records run alone: as many as a killed process can have been at above its position.

    On lanes those are the running handlers, and some whose outputs were not stored yet; what was done is not handled
    again. Without lanes a stage may hold many records, as the sentences stage does with open sentences.
    """
    return 2 * concurrency or 1000


def is_suspicious(stage: Stage) -> bool:
    """Whether records wait of which one may kill the process."""
    return any(mine.suspicion.left and mine.progress.open() for mine in stage.app.consumer.assignments.values())


def forgive(stage: Stage) -> None:
    """A process that leaves in order, or gives partitions back, has not been killed by what it works on."""
    if not stage.app.crashed:
        for assignment in stage.app.consumer.assignments.values():
            assignment.suspicion.forgive()


async def guarded(stage: Stage, unit: Unit, act: Callable[[Unit], Awaitable[T]]) -> T:
    """Handle a record by `act`, alone and named in the commit if it is under suspicion.

    Raises:
        Lethal: it ran alone when its last process was killed.
        Gone: the partition is not ours any more.
    """
    suspicion, offset = unit.assignment.suspicion, unit.raw.offset
    if not suspicion.left:
        return await act(unit)
    if offset == suspicion.culprit:
        suspicion.found()
        if stage.logic.already(unit):  # killed after its work was stored, before that was committed
            return await act(unit)
        raise Lethal(f"it killed its process {ALONE} times or more, twice while nothing else ran")
    suspicion.alone = offset
    try:
        await stage.until(lambda: stage.lanes.running <= 1)
        await _commit(stage, unit.assignment)
        result = await act(unit)
    finally:
        suspicion.alone = suspicion.culprit
        suspicion.left -= 1
    await _commit(stage, unit.assignment)  # whoever is killed from now on is not killed by it
    return result


async def _commit(stage: Stage, assignment: Assignment) -> None:
    """Refused is not the end: after a rebalance the assignment may go on in the next generation."""
    while not assignment.dead:
        if await stage.app.consumer.commit_as([(assignment, assignment.commitment())]):
            return
        await asyncio.sleep(RETRY_PAUSE)
    raise Gone
