"""The results stage as a process of its own, killed in the middle, on each database: every answer once, and a rebuild
that makes the same tables of the topics.
"""  # noqa: D205

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import AsyncIterator, Sequence

import pytest
from aiokafka import AIOKafkaProducer

from ops.rebuild import rebuild
from pipeline.batches import Board, Task, item_records, item_session
from pipeline.settings import Settings
from storage.rows import Text
from storage.store import Store
from tests.workers import Tail, until, working, write, write_each
from topics import headers
from topics.catalog import ANSWERS, TASKS, TRANSCRIPTS, Lane
from topics.codec import encode
from topics.messages import AnswerRecord, Begin, Claim, Done, Ended, Verdict
from topics.sources import Source
from topics.tasks import TaskCreated, TaskPublished, TaskRecord, task_of

pytestmark = pytest.mark.integration

PARTITION = 1
Told = tuple[str, Source, AnswerRecord]


@pytest.fixture
async def settings(kafka_settings: Settings, database_url: str) -> AsyncIterator[Settings]:
    yield dataclasses.replace(kafka_settings, lane=Lane.BULK, database_url=database_url)


async def answer(settings: Settings, epoch: int, told: Sequence[Told], claims: bool = True) -> None:
    """Append to one partition what an answers stage of this epoch writes."""
    topic, place = ANSWERS.on(Lane.BULK, settings.topic_prefix), {"partition": PARTITION}
    async with AIOKafkaProducer(**settings.kafka_client(), acks="all") as producer:
        if claims:
            claim = encode(Claim(epoch=epoch))
            await producer.send_and_wait(topic, claim, headers=headers.claim_stamp(epoch), **place)
        for session, source, record in told:
            stamp = headers.stamp(source, epoch, source.offset)
            await producer.send(topic, encode(record), session.encode(), headers=stamp, **place)


async def tell(settings: Settings, task: str, *records: TaskRecord) -> None:
    for record in records:
        await write(settings, TASKS, f"{task}/{record.__struct_config__.tag}", [record])


async def task_when(settings: Settings, name: str, done: int) -> Task:
    """The task as soon as so many items are counted."""
    board = Board()
    async with Tail.of(settings, TASKS) as tail:

        def holds(_: object) -> bool:
            for stored in tail.valid:
                board.take(task_of(stored.session.encode()), stored.record)
            return (found := board.get(name)) is not None and sum(found.counts) >= done

        await tail.until(holds)
    return board.tasks[name]


def niceness(pid: int) -> int:
    return os.getpriority(os.PRIO_PROCESS, pid)


def done(item: int, text: str = "Five.") -> Told:
    record = Done(attempt=100, index=0, why="ok", text=text, question="How much?", usage={"tokens": item})
    return item_session("prices", item), Source(item), record


async def test_every_answer_is_stored_once_through_a_kill_and_a_rebuild_finds_the_same(
    settings: Settings, store: Store
) -> None:
    count = 40
    texts = [f"What is the price of number {item}?" for item in range(count)]
    at = time.time()
    await tell(
        settings, "prices", TaskCreated(name="prices", created_at=at, total=count), TaskPublished(total=count, at=at)
    )
    items = {item_session("prices", item): list(item_records(text, "query")) for item, text in enumerate(texts)}
    await write_each(settings, TRANSCRIPTS, items)
    store.add_texts([Text("prices", item, text) for item, text in enumerate(texts)])  # as the gateway does

    await answer(settings, 1, [done(item) for item in range(20)])
    async with working(settings, "results") as worker:
        assert (await task_when(settings, "prices", 20)).status == "running"
        assert niceness(worker.process.pid) > niceness(0)  # the CPU is the live lane's first
        worker.kill()
    failed = ("prices/20", Source(20, 7), Verdict(kind="failed", reason="too long"))
    ended = ("prices/20", Source(21, 0), Ended())
    begun = ("prices/22", Source(22), Begin(question="How much?", attempt=200))
    await answer(settings, 2, [done(19, "again"), failed, ended, begun, ("night/call", Source(90, 4), done(0)[2])])
    await answer(settings, 1, [done(30, "of one who was taken for dead")], claims=False)
    await answer(settings, 3, [done(item) for item in range(21, count)])
    async with working(settings, "results") as worker:
        task = await task_when(settings, "prices", count)
        await until(lambda: dict(store.dump())["tasks"][0]["status"] == "completed")
        assert await worker.stop() == 0

    assert (task.status, task.counts) == ("completed", (count - 1, 1))
    found = store.items("prices", range(count), "lost")
    assert [item["text"] for item in found] == texts
    assert [item["content"] for item in found] == ["" if item == 20 else "Five." for item in range(count)]
    assert (found[20]["status"], found[20]["error"]) == ("failed", "too long")
    assert store.answers("night", 0, 10)[1] == 1

    before = dict(store.dump())
    await rebuild(settings, lambda _: None)
    assert dict(store.dump()) == before
    assert [len(before[name]) for name in ("results", "texts", "tasks")] == [count + 2, count, 1]
