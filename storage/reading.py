"""Raw records of an answers topic to what rows are made of."""

from __future__ import annotations

from typing import Any

from pipeline.progress import Fence
from storage.rows import Answered
from topics import headers
from topics.catalog import ANSWERS
from topics.codec import DecodeError, decode
from topics.sources import session_of


def answered_in(fence: Fence, raw: Any) -> Answered | None:
    """A record as a reader takes it, or None for one that is void, a claim, or cannot be read.

    `fence` is that of its partition, `raw` as aiokafka gives it; to be asked of every record, in order.
    """
    try:
        stamp = headers.read_stamp(raw.headers)
        if stamp.epoch <= 0 or not fence.admits(stamp.epoch, is_claim=stamp.is_claim) or stamp.source is None:
            return None
        record = decode(ANSWERS, raw.value)
    except (DecodeError, ValueError):
        return None
    session = session_of(raw.key, raw.partition, raw.offset)
    origins = headers.replay_of(raw.headers, stamp.source.char), headers.redrive_of(raw.headers)
    return Answered(session, stamp.source, raw.partition, raw.timestamp / 1000, record, *origins)
