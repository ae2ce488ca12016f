"""Bookkeeping of one partition: which records are valid, which are done, from where the next owner reads our output."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Self

import msgspec


class Fence:
    """A claim counts if it is higher than the last one that counted; a record below that one is void.

    >>> fence = Fence()
    >>> fence.admits(2, is_claim=True), fence.admits(1, is_claim=False), fence.admits(2, is_claim=True)
    (True, False, False)
    """

    __slots__ = ("epoch",)

    def __init__(self, epoch: int = 0) -> None:
        self.epoch = epoch

    def admits(self, epoch: int, *, is_claim: bool) -> bool:
        """Whether the next record of the log is valid; to be asked once a record, in order."""
        if is_claim:
            counts = epoch > self.epoch
            self.epoch = max(self.epoch, epoch)
            return counts
        return epoch >= self.epoch


class _Wire(msgspec.Struct, forbid_unknown_fields=True):
    o: int
    e: int
    i: int
    s: int
    n: int


class Metadata(NamedTuple):
    """What a commit says beside its position.

    Attributes:
        bound: output offset below which nothing of the records at or above the position was written.
        bound_epoch: epoch of the output there.
        input_epoch: epoch of the input at the position.
        starts: how often a process started at this position.
        taken: the last epoch taken; a commit that the coordinator accepted takes it, so no two owners try the same.
    """

    bound: int
    bound_epoch: int
    input_epoch: int
    starts: int
    taken: int

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """None: there is none, or the broker dropped it."""
        try:
            wire = msgspec.json.decode(text or "", type=_Wire)
        except msgspec.DecodeError:
            return None
        return cls(wire.o, wire.e, wire.i, wire.s, wire.n)

    def dump(self) -> str:
        """Short JSON: brokers allow 4 KiB."""
        return msgspec.json.encode(_Wire(*self)).decode()


class Begun(NamedTuple):
    """A record was begun when the output ended at `output_end`, under the epoch there."""

    offset: int
    output_end: int
    epoch: int


class Progress:
    """Offsets are registered in fetch order before anybody can process them, so holes left by compaction or
    transaction markers are never waited for. Three marks: next ≥ taken ≥ position.
    """  # noqa: D205

    __slots__ = ("_begun", "_claims", "_finished", "_queue", "input_epoch", "next", "start", "taken")

    def __init__(self, position: int = 0, input_epoch: int = 0) -> None:
        self.start = position
        self.next = position  # one past the last fetched offset
        self.taken = position  # one past the last offset the stage took over
        self.input_epoch = input_epoch  # at the position
        self._queue: deque[int] = deque()  # fetched, not yet below the position
        self._finished: set[int] = set()
        self._begun: deque[Begun] = deque()  # in the order of beginning
        self._claims: deque[tuple[int, int]] = deque()  # (offset, epoch) of the input

    def fetched(self, offsets: Sequence[int]) -> None:
        """Register the offsets of one fetch, ascending and not empty."""
        if offsets[0] < self.next:
            raise RuntimeError(f"fetch went back from {self.next} to {offsets[0]} without a seek")
        self._queue.extend(offsets)
        self.next = offsets[-1] + 1

    def rewind(self) -> None:
        """Forget what was fetched and not taken; it is fetched again."""
        while self._queue and self._queue[-1] >= self.taken:
            self._queue.pop()
        self.next = self.taken

    def take(self, offset: int) -> None:
        """The stage takes over a record, in order."""
        self.taken = offset + 1

    def claimed(self, offset: int, epoch: int) -> None:
        """A claim that counts stands in the input."""
        self._claims.append((offset, epoch))

    def begun(self, offset: int, output_end: int, epoch: int) -> None:
        """A handler begins; the read-back replays what predecessors began."""
        self._begun.append(Begun(offset, output_end, epoch))

    def done(self, offset: int) -> None:
        """Every output of the record is stored, or there is none."""
        self._finished.add(offset)

    def open(self) -> int:
        """Number of records fetched and not known to be done."""
        return len(self._queue) - len(self._finished)

    def position(self) -> int:
        """Lowest offset that is not done: what may be committed."""
        queue, finished = self._queue, self._finished
        while queue and queue[0] in finished:
            finished.discard(queue.popleft())
        position = queue[0] if queue else self.next
        while self._claims and self._claims[0][0] < position:
            self.input_epoch = self._claims.popleft()[1]
        return position

    def bound(self, position: int) -> Begun | None:
        """Where the lowest output of anything at or above the position may stand.

        Not only of the record *at* the position: lanes begin out of order, and records done above it are read again.
        """
        while self._begun and self._begun[0].offset < position:
            self._begun.popleft()
        return self._begun[0] if self._begun else None
