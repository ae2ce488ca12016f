"""How an assignment is opened by a stage that writes no topic: nothing is read back, and no epoch is taken."""

from __future__ import annotations

import logging
from typing import Any

from agents.assignment import Assignment
from pipeline.progress import Metadata

log = logging.getLogger(__name__)


class Reader:
    """Opens assignments where records may be handled again without harm.

    Args:
        app: the Faust app, for the commits in an assignment's name.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def open(self, assignment: Assignment) -> bool:
        """Take over the partition; False: it is not ours any more.

        The position is committed again, with one start more: so a record that kills its process is found.
        """
        consumer, position = self.app.consumer, assignment.position
        begin = (await consumer.earliest_offsets(assignment.tp))[assignment.tp]
        if position is None or position < begin:
            if position is not None:
                log.error("%s/%d: records %d to %d are gone unread", *assignment.tp, position, begin - 1)
            position = begin
            assignment.progress = type(assignment.progress)(position, assignment.progress.input_epoch)
            await consumer.seek_to(assignment.tp, position)
        metadata = Metadata(0, 0, assignment.progress.input_epoch, assignment.starts, 0)
        accepted = await consumer.commit_as([(assignment, (position, metadata.dump()))])
        assignment.ready = accepted is not False and not assignment.dead
        if assignment.ready:
            log.info("opened %s/%d at %d", *assignment.tp, position)
        return assignment.ready
