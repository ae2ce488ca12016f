"""The bulk lane's stages on a real Kafka: items of tasks in, rows of results and task events out."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from ops.broker.kafka import HOW_TO_GET_ONE, can_run
from ops.fakes import Reply
from ops.rebuild import rebuild
from pipeline.batches import UNKEYED, Board, Task, item_records, item_session
from pipeline.settings import Settings
from storage.store import Store
from tests.brokers import Broker, in_ci, with_topics
from tests.console_producer import produce
from tests.providers import Scripted, scripted_provider
from tests.workers import ROOT, Tail, Worker, until, working, write, write_each
from topics.catalog import ANSWERS, TASKS, TRANSCRIPTS, Lane
from topics.messages import Ask, End
from topics.tasks import TaskCancelled, TaskCreated, TaskMode, TaskPaused, TaskPublished, TaskRecord, task_of

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


class Bulk(NamedTuple):
    settings: Settings
    provider: Scripted
    store: Store
    worker: Worker

    async def stop(self) -> None:
        """End the stages in order: what was written is in the database, and what the tasks are too."""
        assert await self.worker.stop() == 0

    async def tell(self, task: str, *records: TaskRecord) -> None:
        """Write task events as a gateway does."""
        for record in records:
            await write(self.settings, TASKS, f"{task}/{record.__struct_config__.tag}", [record])

    async def submit(self, task: str, texts: Sequence[str], mode: TaskMode = "query", **options: Any) -> None:
        """Write a task and its items."""
        total = len(texts)
        await self.tell(task, TaskCreated(name=task, created_at=time.time(), total=total, mode=mode, options=options))
        items = {item_session(task, index): list(item_records(text, mode)) for index, text in enumerate(texts)}
        await write_each(self.settings, TRANSCRIPTS, items)
        await self.tell(task, TaskPublished(total=total, at=time.time()))

    async def until(self, task: str, condition: Any) -> Task:
        """The task as soon as a condition over it holds."""
        board = Board()
        async with Tail.of(self.settings, TASKS) as tail:

            def holds(_: Any) -> bool:
                for stored in tail.valid:
                    board.take(task_of(stored.session.encode()), stored.record)
                return (found := board.get(task)) is not None and condition(found)

            await tail.until(holds)
        return board.tasks[task]

    async def ended(self, task: str) -> Task:
        """The task when it has ended."""
        return await self.until(task, lambda found: found.has_ended)

    def items(self, task: str, count: int, missing: str = "pending") -> list[dict[str, Any]]:
        return self.store.items(task, range(count), missing)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bulk(kafka: Broker, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bulk]:
    """All stages of the lane in one process, two answers at once."""
    async with with_topics(kafka, tmp_path_factory.mktemp("bulk")) as live, scripted_provider() as provider:
        settings = dataclasses.replace(live, lane=Lane.BULK, batch_max_concurrent=2)
        store = Store(settings)
        stages = ("sentences", "questions", "answers", "results")
        async with working(settings, *stages, environ=provider.environ) as worker:
            yield Bulk(settings, provider, store, worker)
        store.close()


async def test_every_text_of_a_task_has_one_result(bulk: Bulk) -> None:
    bulk.provider.script("price of", Reply(text="Five."))
    texts = [f"What is the price of number {index}?" for index in range(20)]
    await bulk.submit("prices", texts)
    task = await bulk.ended("prices")
    assert (task.status, task.counts) == ("completed", (20, 0))
    assert task.started_at is not None and task.ended_at is not None and task.started_at <= task.ended_at
    items = bulk.items("prices", 20)
    assert [item["text"] for item in items] == texts
    assert {item["content"] for item in items} == {"Five."}


async def test_a_blank_text_and_a_failing_question_fail_in_their_place(bulk: Bulk) -> None:
    bulk.provider.script("tunnel", Reply(status=401))
    bulk.provider.script("canal", Reply(text="In 1914."))
    await bulk.submit("places", ["When was the canal built?", " ", "When was the tunnel built?"])
    task = await bulk.ended("places")
    assert (task.status, task.counts) == ("completed", (1, 2))
    statuses = [(item["status"], item["error"]) for item in bulk.items("places", 3)]
    assert statuses[:2] == [("completed", None), ("failed", "EMPTY_QUESTION")]
    assert statuses[2][0] == "failed" and "refused the key" in statuses[2][1]


async def test_questions_are_looked_for_in_transcripts(bulk: Bulk) -> None:
    bulk.provider.script("castle", Reply(text="In 1283."))
    bulk.provider.script("bridge", Reply(text="In 1850."))
    spoken = "Good morning. When was the castle built? It is big. When was the bridge built?"
    await bulk.submit("talks", [spoken, "Nobody asks anything here.", ""], mode="detect")
    task = await bulk.ended("talks")
    assert task.counts == (2, 1)
    found, none, blank = bulk.items("talks", 3)
    assert [answer["content"] for answer in found["answers"]] == ["In 1283.", "In 1850."]
    assert (none["status"], none["answers"]) == ("completed", [])
    assert (blank["status"], blank["error"]) == ("failed", "EMPTY_QUESTION")


async def test_options_of_a_task_reach_the_provider_but_those_that_are_ours(bulk: Bulk) -> None:
    bulk.provider.script("weather", Reply(text="It rains."))
    await bulk.submit("options", ["How is the weather?"], model="other-model", temperature=0.1, priority=3)
    await bulk.ended("options")
    (sent,) = [request.body for request in bulk.provider.server.requests if "weather" in request.question]
    assert (sent["model"], sent["temperature"]) == ("other-model", 0.1)
    assert "priority" not in sent


async def test_a_provider_that_this_worker_does_not_have_is_said_in_each_result(bulk: Bulk) -> None:
    await bulk.submit("elsewhere", ["Who answers?"], provider="nobody")
    await bulk.ended("elsewhere")
    (item,) = bulk.items("elsewhere", 1)
    assert item["status"] == "failed" and "'nobody'" in item["error"]


async def test_of_a_cancelled_task_the_running_items_stop_and_the_queued_never_start(bulk: Bulk) -> None:
    bulk.provider.script("ocean", Reply(text="word " * 2000, delay=0.05))
    await bulk.submit("oceans", [f"How deep is ocean number {index}?" for index in range(50)])
    await bulk.until("oceans", lambda task: task.status == "running")
    await bulk.tell("oceans", TaskCancelled(at=time.time()))
    bulk.provider.script("after that", Reply(text="Yes."))
    await bulk.submit("later", ["What comes after that?"])  # has its turn only when the oceans are gone
    await bulk.ended("later")
    assert 1 <= bulk.provider.calls("ocean") <= 4
    assert {item["status"] for item in bulk.items("oceans", 50, "cancelled")} == {"cancelled"}
    assert (await bulk.ended("oceans")).status == "cancelled"


async def test_a_paused_task_waits_and_lets_others_go_first(bulk: Bulk) -> None:
    bulk.provider.script("autumn", Reply(text="In October."))
    bulk.provider.script("spring", Reply(text="In March."))
    await bulk.tell("waits", TaskPaused(paused=True, at=time.time()))
    await bulk.submit("waits", ["When is autumn?"])
    await bulk.submit("goes", ["When is spring?"])
    await bulk.ended("goes")
    assert bulk.provider.calls("autumn") == 0
    await bulk.tell("waits", TaskPaused(paused=False, at=time.time()))
    assert (await bulk.ended("waits")).counts == (1, 0)


async def test_a_higher_priority_goes_first(bulk: Bulk) -> None:
    bulk.provider.script("patient", Reply(text="one two", delay=0.05))
    bulk.provider.script("urgent", Reply(text="Now."))
    await bulk.tell("low", TaskPaused(paused=True, at=time.time()))
    await bulk.submit("low", [f"Who is patient {index}?" for index in range(40)], max_concurrent=1)
    await bulk.tell("low", TaskPaused(paused=False, at=time.time()))
    await bulk.submit("high", ["What is urgent?"], priority=5)
    await bulk.ended("high")
    assert bulk.provider.calls("patient") < 40
    await bulk.tell("low", TaskCancelled(at=time.time()))


async def test_a_record_with_nothing_but_a_text_is_answered_and_read_by_its_run(bulk: Bulk) -> None:
    bulk.provider.script("harbour", Reply(text="The north."))
    await write(bulk.settings, TRANSCRIPTS, "night/call-7", [b'{"text": "Where is the harbour?"}', b'{"type": "end"}'])
    async with Tail.of(bulk.settings, ANSWERS) as tail:
        await tail.until(lambda found: any(record.session == "night/call-7" for record in found))
    await bulk.submit("barrier", [""])
    await bulk.ended("barrier")
    answers, total = bulk.store.answers("night", 0, 10)
    assert (total, answers[0]["content"], answers[0]["metadata"]["session_id"]) == (1, "The north.", "night/call-7")


async def test_records_of_kafkas_own_console_producer_are_answered(bulk: Bulk) -> None:
    """With keys and without, as docs/producers.md has it; a key goes to the partition that we would choose."""
    if not can_run():
        (pytest.fail if in_ci() else pytest.skip)(f"needs Kafka's console producer: {HOW_TO_GET_ONE}")
    bulk.provider.script("lighthouse", Reply(text="In 1780."))
    bulk.provider.script("pier", Reply(text="In 1901."))
    topic = TRANSCRIPTS.on(Lane.BULK, bulk.settings.topic_prefix)
    await produce(bulk.settings, topic, '{"text": "When was the lighthouse built?"}\n')
    lines = 'dusk/one|{"text": "When was"}\ndusk/one|{"text": "the pier built?"}\ndusk/one|{"type": "end"}\n'
    separated = ("--property", "parse.key=true", "--property", "key.separator=|")
    await produce(bulk.settings, topic, lines, *separated)
    (offset,) = await write(bulk.settings, TRANSCRIPTS, "dusk/one", [End()])
    async with Tail.of(bulk.settings, TRANSCRIPTS) as tail:
        found = await tail.until(lambda found: sum(record.session == "dusk/one" for record in found) == 4)
    assert len({record.partition for record in found if record.session == "dusk/one"}) == 1 and offset > 0
    await until(lambda: bulk.store.answers("dusk", 0, 10)[1] == 1 and bulk.store.answers(UNKEYED, 0, 10)[1] >= 1)
    assert bulk.store.answers(UNKEYED, 0, 10)[0][0]["content"] == "In 1780."
    assert bulk.store.answers("dusk", 0, 10)[0][0]["content"] == "In 1901."


async def test_the_python_recipe_of_the_documentation_works_as_it_stands(bulk: Bulk) -> None:
    bulk.provider.script("day ticket", Reply(text="Nine crowns."))
    bulk.provider.script("return it", Reply(text="Within a week."))
    (recipe,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "producers.md").read_text(), re.DOTALL)
    topic = TRANSCRIPTS.on(Lane.BULK, bulk.settings.topic_prefix)
    here = {"localhost:9092": bulk.settings.kafka_bootstrap_servers, TRANSCRIPTS.on(Lane.BULK): topic}
    for named, ours in here.items():
        assert recipe.count(f'"{named}"') == 1
        recipe = recipe.replace(named, ours)
    subprocess.run([sys.executable, "-c", recipe], check=True, timeout=60)
    await until(lambda: bulk.store.answers("nightly", 0, 10)[1] == 2)
    answers = [answer["content"] for answer in bulk.store.answers("nightly", 0, 10)[0]]
    assert sorted(answers) == ["Nine crowns.", "Within a week."]


async def test_a_rebuilt_database_is_equal_to_the_one_that_the_stage_filled(bulk: Bulk) -> None:
    """Run last: all that the tests above left behind, cancelled tasks and resent items included."""
    bulk.provider.script("double", Reply(text="Once."))
    await bulk.tell("double", TaskCreated(name="double", created_at=time.time(), total=1))
    ask = list(item_records("Is it double?", "query"))
    await write_each(
        bulk.settings, TRANSCRIPTS, {"double/0": [*ask, *ask, Ask(text="Is it double again?", id="other")]}
    )
    await bulk.tell("double", TaskPublished(total=1, at=time.time()))
    assert (await bulk.ended("double")).counts == (1, 0)
    await until(lambda: {row["status"] for row in dict(bulk.store.dump())["tasks"]} <= {"completed", "cancelled"})
    await bulk.stop()
    before = dict(bulk.store.dump())
    await rebuild(bulk.settings, lambda _: None)
    after = dict(bulk.store.dump())
    assert after["results"] == before["results"] and len(after["results"]) > 30
    assert after["tasks"] == before["tasks"]
    assert {row["text"] for row in after["texts"]} >= {"Is it double?"}
