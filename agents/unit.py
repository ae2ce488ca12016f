"""One record on its way through a stage; done when nothing holds it any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agents.assignment import Assignment, Gone
from pipeline import tracing
from topics import headers
from topics.codec import encode
from topics.messages import Record
from topics.sources import Source, session_of

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from agents.metrics import Outcome
    from agents.runtime import Stage

MAX_RECORD = 1_000_000  # bytes; a little below what a topic takes, as headers count too


class TooLarge(Exception):  # noqa: N818 - becomes the reason of a dead letter
    """An output is larger than its topic takes."""


class Unit:
    """A decoded input record with its place, and the way to write outputs of it.

    Attributes:
        raw: the fetched record (aiokafka ConsumerRecord).
        record: its decoded value, None as long as it is not decoded.
        session: whose record it is.
        source: what it is about.
        outcome: what it counts as when it is done.
        assignment: the partition it came from.
        span: of a trace; None unless traces are switched on.
    """

    __slots__ = ("_holds", "assignment", "outcome", "raw", "record", "session", "source", "span", "stage")

    def __init__(self, stage: Stage, raw: Any, assignment: Assignment, source: Source) -> None:
        self.stage, self.raw, self.assignment, self.source = stage, raw, assignment, source
        self.session = session_of(raw.key, raw.partition, raw.offset)
        self.record: Any = None
        self.outcome: Outcome = "done"
        self._holds = 1
        self.span: Span | None = None
        if stage.tracer is not None:
            name, group = stage.logic.name, stage.app.conf.id
            self.span = tracing.processing(stage.tracer, name, group, raw, self.session, source)

    @property
    def time(self) -> float:
        """When the record was written, seconds since 1970."""
        return float(self.raw.timestamp) / 1000

    @property
    def redrive_of(self) -> str | None:
        """The public id that failed, where this was sent again from the dead letters."""
        return headers.redrive_of(self.raw.headers) or None

    def note(self, attributes: Mapping[str, Any]) -> None:
        """Say more of the record in its trace."""
        if self.span is not None:
            self.span.set_attributes(attributes)

    async def emit(
        self, record: Record, source: Source | None = None, release: Sequence[Unit] = (), span: Span | None = None
    ) -> None:
        """Queue an output of this session; this record is not done before the broker has stored it.

        Args:
            record: goes to the partition number that we read.
            source: what it is about, if not the same as the input.
            release: held units that this output completes.
            span: the part of our trace that it belongs to, if not our own span.

        Raises:
            Gone: the partition is not ours any more.
            TooLarge: the output is larger than a topic takes.
        """
        assignment, stage = self.assignment, self.stage
        if assignment.dead:
            raise Gone
        value = encode(record)
        if len(value) > MAX_RECORD:
            raise TooLarge(f"a {type(record).__name__} of {len(value)} bytes; a topic takes {MAX_RECORD}")
        stamp = headers.stamp(source or self.source, assignment.epoch, self.raw.offset)
        span = span or self.span
        stamp += headers.carried(self.raw.headers, traced=span is not None)
        if span is not None:
            stamp += tracing.headers_of(span)
        future = await stage.send(value, self.session.encode(), assignment.tp.partition, stamp)
        self._holds += 1
        assignment.outputs.add(future, self, release)

    def hold(self) -> None:
        """Keep the record from being done until one more `release`."""
        self._holds += 1

    def release(self) -> None:
        """Take one hold away; the record is done with the last."""
        self._holds -= 1
        if not self._holds and not self.assignment.dead:
            self.assignment.progress.done(self.raw.offset)
            self.stage.counts[self.outcome] += 1
            if self.span is not None:
                tracing.processed(self.span, self.outcome)
