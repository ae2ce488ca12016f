"""What a stage could not handle: the untouched bytes, with the reason in headers."""

from __future__ import annotations

import logging
from typing import Any

from topics import headers
from topics.messages import StageName
from topics.sources import Source

log = logging.getLogger(__name__)
MAX_REASON = 500  # characters


async def bury(
    producer: Any, topic: str, stage: StageName, raw: Any, reason: str, source: Source | None, attempt: int = 1
) -> None:
    """Write a record to the dead letters and wait until it is stored.

    Args:
        producer: an aiokafka producer.
        topic: name of the dead-letter topic.
        stage: who could not handle it.
        raw: the fetched record.
        reason: what was wrong with it.
        source: what it is about; None where it does not say so.
        attempt: how often it was tried.

    Raises:
        KafkaError: it could not be stored; the record must not be committed then.
    """
    kept = [(name, value) for name, value in raw.headers if not name.startswith("rag-") or name in headers.CARRIED]
    told = [
        (headers.ERROR, reason[:MAX_REASON].encode("utf-8", "replace")),
        (headers.STAGE, stage.encode()),
        (headers.ATTEMPT, b"%d" % attempt),
        (headers.ORIGIN, f"{raw.topic}/{raw.partition}/{raw.offset}".encode()),
    ]
    if source is not None:
        told.append((headers.SOURCE, str(source).encode()))
    log.error("%s/%d offset %d goes to %s: %s", raw.topic, raw.partition, raw.offset, topic, reason)
    await producer.send_and_wait(topic, raw.value, raw.key, headers=[*kept, *told])
