"""What was answered live to the range of a replay, in the form of its results: for comparing both."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from gateway.log_range import range_reader, read_range, starts
from gateway.problems import Problem
from gateway.replays import Reading, Replays
from pipeline.batches import Task
from pipeline.errors import BrokerError
from pipeline.progress import Fence
from pipeline.replays import Range, Replay
from pipeline.settings import Settings
from storage.reading import answered_in
from storage.rows import Answered, answer_of, row_of
from topics.catalog import ANSWERS

SLACK = 60.0  # seconds by which the clocks of those who wrote transcripts and answers may differ


class Places(NamedTuple):
    """Which live records a replay is of, as `session/offset`; their partitions, and the time of the first, seconds."""

    names: Collection[str]
    partitions: Collection[int]
    since: float


async def live_answers(replays: Replays, task: Task) -> list[dict[str, Any]]:
    """The live answers to what a replay says again, with their own public id as `replay_of`.

    Raises:
        Problem: 422, the task is no replay; 503, Kafka does not answer.
    """
    if task.created is None or not task.created.range:
        raise Problem(422, "INVALID_REQUEST", f"{task.id} is no replay: there are no live answers to compare it with")
    of = Range(**task.created.range)
    of = of._replace(until=min(of.until, task.created.created_at))  # what came later the replay may not know
    try:
        places = await _places(replays.settings, of, await replays.partitions(of))
        async with aclosing(_answers(replays.settings, places)) as found:
            return [answer async for answer in found]
    except (KafkaError, OSError, BrokerError) as exc:
        raise Problem(503, "SERVICE_UNAVAILABLE", f"the live topics cannot be read: {exc}") from exc


async def _places(settings: Settings, of: Range, partitions: Collection[int]) -> Places:
    names, since, replay = set(), float("inf"), Replay("")
    async with aclosing(Reading(settings, of, partitions, replay).run()) as records:
        async for _, written in records:
            if written is not None:
                names.add(written.of)
                since = min(since, written.at)
            await asyncio.sleep(0)  # live clients go first
    return Places(names, partitions, max(0.0, since - SLACK))


async def _answers(settings: Settings, places: Places) -> AsyncGenerator[dict[str, Any], None]:
    fences: defaultdict[int, Fence] = defaultdict(Fence)
    topic = ANSWERS.on(prefix=settings.topic_prefix)
    partitions = [TopicPartition(topic, number) for number in places.partitions]
    async with range_reader(settings) as consumer:
        async for raw in read_range(consumer, await starts(consumer, partitions, places.since, settings)):
            if (found := answered_in(fences[raw.partition], raw)) and _name(found) in places.names:
                row = row_of(found._replace(replay_of=f"{found.session}/{found.source}"))
                if row is not None and row["question"] is not None:
                    yield answer_of(row)
            await asyncio.sleep(0)


def _name(answered: Answered) -> str:
    return f"{answered.session}/{answered.source.offset}"
