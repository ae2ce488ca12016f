"""Chunks as the cutter takes them: read by the sentences stage and by the estimate of a replay."""

from __future__ import annotations

from pipeline.pauses import Growth, grow
from pipeline.sentences import Heard, Open
from pipeline.unmarked import has_marks
from topics.messages import AsrChunk


def heard(chunk: AsrChunk, offset: int, at: float, lang: str | None, growth: Growth | None = None) -> Heard:
    """A chunk at its offset and record time.

    Args:
        chunk: interim or final.
        offset: in the transcripts topic.
        at: record time in seconds.
        lang: of the session, where the chunk names none.
        growth: of what is being heard; a final chunk takes it along if it is of the same segment.
    """
    speaker, segment = _name(chunk.speaker), _name(chunk.segment_id)
    own = growth if chunk.is_final and growth is not None and growth.segment == segment else None
    return Heard(offset, chunk.text, at, speaker, chunk.lang or lang, segment, own)


def grown(growth: Growth | None, chunk: AsrChunk, offset: int, at: float, open_: Open) -> Growth | None:
    """How the segment of an interim chunk has grown with it; None where marks say where sentences end.

    >>> growth = grown(None, AsrChunk(text="how much", is_final=False), 7, 1.0, Open())
    >>> grown(growth, AsrChunk(text="how much is it", is_final=False), 8, 1.6, Open()).steps
    ((7, 1.0), (11, 1.6))
    """
    if open_.punctuated or has_marks(chunk.text):
        return None
    return grow(growth, offset, _name(chunk.segment_id), chunk.text, at)


def _name(given: str | int | None) -> str | None:
    return None if given is None else str(given)
