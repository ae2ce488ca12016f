"""One partition while it is ours: membership, epoch, progress and the stage's memory live and die together."""

from __future__ import annotations

import asyncio
from typing import Any

from faust.types import TP

from agents.outputs import Outputs
from agents.suspicion import Suspicion
from pipeline.progress import Fence, Metadata, Progress


class Gone(Exception):  # noqa: N818 - control flow, not an error
    """The assignment is dead: what its handler still wanted to send is the next owner's business."""


class Assignment:
    """Handed to every handler; once `dead` nothing of it sends, finishes or commits.

    Args:
        tp: the input partition.
        generation: of the group, as captured when the partition was granted.
        member: our member id then.
        position: the committed position; None where the group has committed nothing yet.
        metadata: of that commit.
    """

    def __init__(self, tp: TP, generation: int, member: str, position: int | None, metadata: str) -> None:
        self.tp, self.generation, self.member = tp, generation, member
        self.inherit(position, metadata)
        self.ready = False  # opened: may be fed
        self.dead = False
        self.opening: asyncio.Task[None] | None = None
        self.epoch = 0
        self.outputs = Outputs()
        self.highest = -1  # input offset of which the read-back found an output
        self.held = 0  # bytes of the records that were taken and are not done
        self.memory: Any = None  # the stage's own, e.g. open sentences
        self.clock = 0.0  # highest record time taken, seconds since 1970
        self.touched = 0.0  # loop time when a record was last taken

    def inherit(self, position: int | None, metadata: str) -> None:
        """Begin where the last owner's commit says."""
        self.position = position
        self.inherited = Metadata.parse(metadata)  # None: read our output from its start
        self.progress = Progress(position or 0, self.inherited.input_epoch if self.inherited else 0)
        self.fence = Fence(self.progress.input_epoch)  # of the input, at `progress.taken`
        self.committed = (position, metadata)  # what the coordinator is known to have
        self.suspicion = Suspicion(position or 0, self.inherited.starts if self.inherited else 0)

    def commitment(self, *, caught_up: bool = False) -> tuple[int, str]:
        """Position and metadata that may be committed now.

        `caught_up`: the log was read to its end. Only then does it mean something that nothing is open: before the
        first fetch nothing is either, and the start must still count.
        """
        position = self.progress.position()
        begun = self.progress.bound(position)
        bound, epoch = (begun.output_end, begun.epoch) if begun else (self.outputs.end, self.epoch)
        starts = self.suspicion.at(position, is_idle=caught_up and not self.progress.open())
        return position, Metadata(bound, epoch, self.progress.input_epoch, starts, self.epoch).dump()

    @property
    def starts(self) -> int:
        """What a commit at the position says of starts, this one included."""
        return self.suspicion.at(self.suspicion.position)

    def die(self) -> None:
        """Stop everything of this assignment."""
        self.dead, self.ready = True, False
        if self.opening and self.opening is not asyncio.current_task():
            self.opening.cancel()
