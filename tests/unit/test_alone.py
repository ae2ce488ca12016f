"""A record under suspicion: buried if it killed its process, but not if its work was done before the end came."""

from __future__ import annotations

from typing import Any

import pytest

from agents.alone import Lethal, guarded
from agents.suspicion import ALONE, Suspicion

pytestmark = pytest.mark.unit

POSITION = 70


class Record:
    offset = POSITION


class Assignment:
    dead = False

    def __init__(self) -> None:
        self.suspicion = Suspicion(POSITION, ALONE + 2)  # the record at the position ran alone when two processes died
        self.suspicion.watch(10)


class Unit:
    raw = Record()

    def __init__(self) -> None:
        self.assignment = Assignment()


class Stage:
    """Stands for a stage whose predecessor had, or had not, stored what comes of the record."""

    def __init__(self, stored: bool) -> None:
        self.stored = stored
        self.logic = self

    def already(self, unit: Unit) -> bool:
        return self.stored


async def test_the_record_that_killed_its_process_is_refused() -> None:
    with pytest.raises(Lethal):
        await guarded(Stage(stored=False), Unit(), _handled)  # type: ignore[arg-type]


async def test_a_record_whose_outputs_are_stored_is_innocent() -> None:
    unit = Unit()
    assert await guarded(Stage(stored=True), unit, _handled) == "handled"  # type: ignore[arg-type]
    assert unit.assignment.suspicion.left == 0


async def _handled(unit: Any) -> str:
    return "handled"
