"""Headers of the records on the middle topics, and of dead letters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from topics.sources import Source

SOURCE = "rag-source"  # what the record is about
EPOCH = "rag-epoch"  # of the writer; a record with an epoch and no source is a claim
FROM = "rag-from"  # offset of the input record it was made from, so that a read-back parses no JSON

ERROR = "rag-error"
STAGE = "rag-stage"
ATTEMPT = "rag-attempt"
ORIGIN = "rag-origin"  # topic/partition/offset of a dead letter
REDRIVEN = "rag-redriven"  # place and public id of the dead letter that this comes from, having been sent again
REPLAYED = "rag-replayed"  # session/offset of the live transcript that this is a replay of
CARRIED = (REDRIVEN, REPLAYED)  # from a record of transcripts to all that comes of it
TRACES = ("traceparent", "tracestate")  # W3C Trace Context, likewise
_CARRIED_UNTRACED = (*CARRIED, *TRACES)

Header = tuple[str, bytes | None]


class Stamp(NamedTuple):
    """What a record's headers say. `epoch` 0: not written by a stage."""

    epoch: int
    source: Source | None
    origin: int

    @property
    def is_claim(self) -> bool:
        """Whether the record only says that its writer took over the partition."""
        return self.epoch > 0 and self.source is None


UNSTAMPED = Stamp(0, None, -1)


def read_stamp(headers: Iterable[Header]) -> Stamp:
    """Read our headers; foreign ones are passed over.

    Raises:
        ValueError: one of ours is not of its form.
    """
    epoch, origin = 0, -1
    source: Source | None = None
    for name, value in headers:
        if not name.startswith("rag-"):
            continue
        if value is None:
            raise ValueError(f"the header {name} has no value")
        if name == SOURCE:
            source = Source.parse(value)
        elif name == EPOCH:
            epoch = int(value)
        elif name == FROM:
            origin = int(value)
    return Stamp(epoch, source, origin)


def stamp(source: Source, epoch: int, origin: int) -> list[Header]:
    """Headers of an output: what it is about, by whom, made from which input offset."""
    return [(SOURCE, b"%d.%d" % source), (EPOCH, b"%d" % epoch), (FROM, b"%d" % origin)]


def redriven(headers: Iterable[Header]) -> bytes | None:
    """The header of a record that was sent again from the dead letters."""
    return next((value for name, value in headers if name == REDRIVEN), None)


def redrive_of(headers: Iterable[Header]) -> str:
    """Public id of what failed and was sent again as this; empty for others.

    >>> redrive_of([("rag-redriven", b"3:17 call-7/12.25")])
    'call-7/12.25'
    """
    return (redriven(headers) or b"").partition(b" ")[2].decode("utf-8", "replace")


def replay_of(headers: Iterable[Header], char: int) -> str:
    """Public id that a thing had live which comes of a replayed record and ends at its `char`; empty for others.

    >>> replay_of([("rag-replayed", b"call-7/12")], 25)
    'call-7/12.25'
    """
    found = next((value for name, value in headers if name == REPLAYED), None)
    return f"{found.decode('utf-8', 'replace')}.{char}" if found else ""


def carried(headers: Iterable[Header], *, traced: bool = False) -> list[Header]:
    """Those of a record's headers that its outputs have too; `traced`: they get others that name their trace."""
    names = CARRIED if traced else _CARRIED_UNTRACED
    return [(name, value) for name, value in headers if name in names]


def claim_stamp(epoch: int) -> list[Header]:
    """Headers of a claim."""
    return [(EPOCH, b"%d" % epoch)]
