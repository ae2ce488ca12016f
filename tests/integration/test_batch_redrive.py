"""An item that failed by a dead letter: sent again and answered, it is right in the results and in the counts."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from ops.fakes import Reply
from tests.batch_service import Batch, run
from tests.workers import stored_until, write
from topics import headers
from topics.catalog import QUESTIONS, TASKS, TRANSCRIPTS, Lane
from topics.messages import Ask
from topics.sources import Source
from topics.tasks import TaskCreated, TaskPublished

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

PARTITIONS = list(range(4))


def task_with_its_items_in_one_partition() -> str:
    def partition(session: str) -> int:
        return DefaultPartitioner()(session.encode(), PARTITIONS, PARTITIONS)

    return next(name for name in map("mend-{}".format, range(99)) if partition(f"{name}/0") == partition(f"{name}/1"))


async def spoil_a_question(batch: Batch, session: str, text: str) -> None:
    """Write a question as its stage would, but one that the next stage cannot read."""
    bulk = dataclasses.replace(batch.settings, lane=Lane.BULK)
    (last,) = [item for item in await stored_until(bulk, QUESTIONS, 1) if item.session == f"{session[:-2]}/0"]
    value = json.dumps({"type": "question", "text": text, "score": "high"}).encode()
    stamp = headers.stamp(Source(last.offset + 1), last.stamp.epoch, last.stamp.origin)
    async with AIOKafkaProducer(**bulk.kafka_client()) as producer:
        topic = QUESTIONS.on(Lane.BULK, bulk.topic_prefix)
        await producer.send_and_wait(topic, value, session.encode(), last.partition, headers=stamp)


async def test_an_item_whose_dead_letter_is_sent_again_is_completed_and_counted_once(batch: Batch) -> None:
    batch.provider.script("refund", Reply(text="Five days."))
    task, bulk = task_with_its_items_in_one_partition(), dataclasses.replace(batch.settings, lane=Lane.BULK)
    for event in (TaskCreated(name="mend", created_at=time.time(), total=2), TaskPublished(total=2, at=time.time())):
        await write(batch.settings, TASKS, f"{task}/{type(event).__struct_config__.tag}", [event])
    await write(bulk, TRANSCRIPTS, f"{task}/0", [Ask(text="What is a refund?")])
    await spoil_a_question(batch, f"{task}/1", "How long does a refund take?")

    ended = await batch.ended(task)
    assert (ended["status"], ended["progress"]["completed"], ended["progress"]["failed"]) == ("completed", 1, 1)
    code, letters, _ = await run(batch, "dlq", "list", "--json", "--session", f"{task}/1")
    place = json.loads(letters)["place"]
    code, out, err = await run(batch, "dlq", "redrive", place, "--yes")
    assert code == 0, out + err

    async with asyncio.timeout(40):
        while (await batch.task(task))["progress"]["failed"]:
            await asyncio.sleep(0.05)
    found = await batch.task(task)
    assert (found["status"], found["progress"]["completed"], found["progress"]["total"]) == ("completed", 2, 2)
    items = (await batch.results(task))["results"]
    assert [(item["status"], item["content"]) for item in items] == [("completed", "Five days.")] * 2
    assert items[1]["metadata"]["redrive_of"] == json.loads(letters)["question_id"]
    assert (await batch.http.get(f"/api/batch/runs/{task}/results")).json()["total"] == 2
