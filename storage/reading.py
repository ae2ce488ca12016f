"""Raw records of a topic that one stage writes, as its readers take them, and as what rows are made of."""

from __future__ import annotations

from typing import Any, NamedTuple

from pipeline.progress import Fence
from storage.rows import Answered
from topics import headers
from topics.catalog import ANSWERS, Topic
from topics.codec import DecodeError, decode
from topics.sources import Source, session_of


class Valid(NamedTuple):
    """A record with whose it is and what it is about."""

    session: str
    source: Source
    record: Any


def valid_in(topic: Topic, fence: Fence, raw: Any) -> Valid | None:
    """A record of a topic, or None for one that is void, a claim, or cannot be read.

    `fence` is that of its partition, `raw` as aiokafka gives it; to be asked of every record, in order.
    """
    try:
        stamp = headers.read_stamp(raw.headers)
        if stamp.epoch <= 0 or not fence.admits(stamp.epoch, is_claim=stamp.is_claim) or stamp.source is None:
            return None
        record = decode(topic, raw.value)
    except (DecodeError, ValueError):
        return None
    return Valid(session_of(raw.key, raw.partition, raw.offset), stamp.source, record)


def answered_in(fence: Fence, raw: Any) -> Answered | None:
    """The same of a topic of answers, for `row_of`."""
    if (valid := valid_in(ANSWERS, fence, raw)) is None:
        return None
    session, source, record = valid
    origins = headers.replay_of(raw.headers, source.char), headers.redrive_of(raw.headers)
    return Answered(session, source, raw.partition, raw.timestamp / 1000, record, *origins)
