"""What an assignment knows of starts that ended badly at its position, to find the record that kills its process."""

from __future__ import annotations

ALONE = 3  # starts at one position from which on records run alone


class Suspicion:
    """Read from and written to `Metadata.starts`.

    Up to 3 that is the number of starts at the position; 4 and above name the record that ran alone, by how many
    records it stands above the position, and say whether a process had been killed while it ran alone before. One such
    end may be chance, as when somebody kills workers; a record of two is the culprit.

    >>> Suspicion(70, 0).at(70), Suspicion(70, 2).at(70)
    (1, 3)
    >>> Suspicion(70, 8).suspect, Suspicion(70, 9).culprit, Suspicion(70, 9).at(71)
    (72, 72, 7)

    Attributes:
        suspect: offset of the record during which one process was killed.
        culprit: offset of the record during which two were.
        alone: offset of the record that the next commit names as running alone.
        left: number of records that are still to run alone.
    """

    def __init__(self, position: int, inherited: int) -> None:
        self.position, self._before = position, min(inherited, ALONE)
        self.count = min(inherited + 1, ALONE)
        above, again = divmod(inherited - ALONE - 1, 2)
        self.suspect = position + above if inherited > ALONE and not again else None
        self.culprit = position + above if inherited > ALONE and again else None
        self.alone = self.culprit
        self.left = 0

    def at(self, position: int, *, is_idle: bool = False) -> int:
        """What to commit with a position; a start at which nothing is open is not held against anybody."""
        if self.alone is not None and self.alone >= position:
            return ALONE + 1 + 2 * (self.alone - position) + (self.alone in (self.suspect, self.culprit))
        return self.count if position == self.position and not is_idle else 0

    def watch(self, number: int) -> bool:
        """Let so many records run alone if there is a reason to; says whether there is."""
        self.left = number if self.count >= ALONE else 0
        return bool(self.left)

    def forgive(self) -> None:
        """Whoever leaves in order has not been killed."""
        self.count, self.alone = self._before, self.culprit

    def found(self) -> None:
        """The culprit is known: the rest runs as ever."""
        self.culprit = self.alone = None
        self.left = 0
