"""Builds the database of results again from the topics."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from itertools import chain
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer

from gateway.log_range import read_range, starts
from ops.admin import admin_client
from ops.log_range import log_reader, partitions_of
from pipeline.batches import Board, place_of
from pipeline.errors import ConfigurationError
from pipeline.progress import Fence
from pipeline.settings import Settings
from storage.reading import answered_in
from storage.rows import Answered, Text
from storage.store import Store
from topics.catalog import ANSWERS, TASKS, TRANSCRIPTS, Lane, Topic, group_of
from topics.codec import DecodeError, decode
from topics.messages import Ask, AsrChunk
from topics.sources import session_of
from topics.tasks import task_of

AT_ONCE = 1000  # records of one partition in a transaction


class Rebuilt(NamedTuple):
    """How many records were read of each topic."""

    answers: int
    texts: int
    tasks: int


async def rebuild(settings: Settings, say: Callable[[str], None]) -> Rebuilt:
    """Empty the tables and fill them from the bulk lane's topics.

    Raises:
        ConfigurationError: a results stage is running, whose rows would mix with ours.
        RagError: the broker or the database does not answer.
    """
    await _check_nobody_writes(settings)
    store = await asyncio.to_thread(Store, settings)
    try:
        await asyncio.to_thread(store.clear)
        async with log_reader(settings) as consumer:
            answers = await _answers(consumer, settings, store)
            say(f"{answers} answers read")
            texts = await _texts(consumer, settings, store)
            say(f"{texts} texts read")
            return Rebuilt(answers, texts, await _tasks(consumer, settings, store))
    finally:
        await asyncio.to_thread(store.close)


async def _check_nobody_writes(settings: Settings) -> None:
    group = group_of("results", Lane.BULK, settings.topic_prefix)
    async with admin_client(settings) as client:
        answers = [answer.to_object() for answer in await client.describe_consumer_groups([group])]
    members = [member for answer in answers for found in answer["groups"] for member in found["members"]]
    if members:
        raise ConfigurationError(
            f"{len(members)} workers of the stage results are running: stop them first, start them again afterwards."
        )


async def _records(consumer: AIOKafkaConsumer, settings: Settings, topic: Topic) -> AsyncIterator[Any]:
    partitions = await partitions_of(settings, topic.on(Lane.BULK, settings.topic_prefix))
    async for record in read_range(consumer, await starts(consumer, partitions, 0.0, settings)):
        yield record


async def _answers(consumer: AIOKafkaConsumer, settings: Settings, store: Store) -> int:
    """As the stage does it: what stands below a claim is void."""
    fences: defaultdict[int, Fence] = defaultdict(Fence)
    waiting: defaultdict[int, list[Answered]] = defaultdict(list)
    count = 0
    async for raw in _records(consumer, settings, ANSWERS):
        count += 1
        if (answered := answered_in(fences[raw.partition], raw)) is not None:
            waiting[raw.partition].append(answered)
        if len(waiting[raw.partition]) >= AT_ONCE:
            await asyncio.to_thread(store.add, waiting.pop(raw.partition))
    await asyncio.to_thread(store.add, list(chain.from_iterable(waiting.values())))
    return count


async def _texts(consumer: AIOKafkaConsumer, settings: Settings, store: Store) -> int:
    board = await read_board(consumer, settings)
    waiting: list[Text] = []
    count = 0
    async for raw in _records(consumer, settings, TRANSCRIPTS):
        count += 1
        run, item = place_of(session_of(raw.key, raw.partition, raw.offset))
        if item is None or board.get(run) is None:
            continue
        try:
            record = decode(TRANSCRIPTS, raw.value)
        except DecodeError:
            continue
        if isinstance(record, Ask | AsrChunk):
            waiting.append(Text(run, item, record.text))
        if len(waiting) >= AT_ONCE:
            await asyncio.to_thread(store.add_texts, waiting)
            waiting = []
    await asyncio.to_thread(store.add_texts, waiting)
    return count


async def _tasks(consumer: AIOKafkaConsumer, settings: Settings, store: Store) -> int:
    board = await read_board(consumer, settings)
    for task in board:
        await asyncio.to_thread(store.put_task, task)
    return len(board.tasks)


async def read_board(consumer: AIOKafkaConsumer, settings: Settings) -> Board:
    """Every task as the topic says now."""
    board = Board()
    async for raw in _records(consumer, settings, TASKS):
        if raw.value is None:
            continue
        try:
            board.take(task_of(raw.key), decode(TASKS, raw.value))
        except DecodeError:
            continue
    return board
