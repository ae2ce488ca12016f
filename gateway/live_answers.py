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
from storage.reading import Valid, answered_in, valid_in
from storage.rows import answer_of, row_of
from topics.catalog import ANSWERS, QUESTIONS, Topic
from topics.messages import Question
from topics.sources import public_id

TAKEN_BACK = ""  # instead of a public id: the early question was no question in the end
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
        if not places.names:
            return []
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
    final = await _final(settings, places)
    fences: defaultdict[int, Fence] = defaultdict(Fence)
    async for raw in _records(settings, ANSWERS, places):
        found = answered_in(fences[raw.partition], raw)
        if found is None or f"{found.session}/{found.source.offset}" not in places.names:
            continue
        live = public_id(found.session, found.source)
        row = row_of(found._replace(replay_of=final.get(live, live)))
        if row is not None and row["question"] is not None and final.get(live) != TAKEN_BACK:
            yield answer_of(row)


async def _final(settings: Settings, places: Places) -> dict[str, str]:
    """Of early questions the final one that confirmed it, by public id: a replay knows only final ones."""
    final: dict[str, str] = {}
    fences: defaultdict[int, Fence] = defaultdict(Fence)
    async for raw in _records(settings, QUESTIONS, places):
        match valid_in(QUESTIONS, fences[raw.partition], raw):
            case Valid(session, source, Question(early=True)):
                final[public_id(session, source)] = TAKEN_BACK
            case Valid(session, source, Question(confirms=str(early))):
                final[f"{session}/{early}"] = public_id(session, source)
    return final


async def _records(settings: Settings, topic: Topic, places: Places) -> AsyncGenerator[Any, None]:
    """Those of a live topic in the partitions of the places, from their time on; live clients go first."""
    partitions = [TopicPartition(topic.on(prefix=settings.topic_prefix), number) for number in places.partitions]
    async with range_reader(settings) as consumer:
        async for raw in read_range(consumer, await starts(consumer, partitions, places.since, settings)):
            yield raw
            await asyncio.sleep(0)
