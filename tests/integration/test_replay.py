"""Replays of live sessions and the comparison of two: both lanes' stages, a gateway, a real Kafka."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from aiokafka import TopicPartition

from ops.admin import admin_client
from ops.fakes import Reply
from ops.ports import free_port
from ops.rebuild import rebuild
from pipeline.batches import SILENT
from storage.store import Store
from tests.batch_service import Batch, eventually_created, gateway, run
from tests.brokers import Broker, with_topics
from tests.providers import scripted_provider
from tests.talker import Talker
from tests.workers import Tail, Worker, running, stored, working, write
from topics.catalog import ANSWERS, QUESTIONS, RIVER, SENTENCES, TASKS, TRANSCRIPTS, Lane, group_of
from topics.messages import AsrChunk, Control, Done, End, Endpointing
from topics.sources import public_id
from topics.tasks import TaskPublishing

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

CALL = [
    AsrChunk(text="Good evening. When does"),
    AsrChunk(text="the last ferry leave? Thank you."),
    Control(action="cancel"),
    AsrChunk(text="How much is a ticket?"),
]


class Replayed(NamedTuple):
    """A live session that was answered, and where."""

    batch: Batch
    answered: dict[str, str]  # question by public id
    offsets: list[int]
    bulk: Worker

    async def replay(self, **asked: Any) -> dict[str, Any]:
        """A replay that has ended, as a task."""
        answer = await self.batch.http.post("/api/replays", json=asked)
        assert answer.status_code == 201, answer.text
        return await self.batch.ended(answer.json()["task_id"])

    async def results(self, task: str) -> dict[str, tuple[str, str]]:
        """Question and answer by the public id that they had live."""
        found = (await self.batch.results(task))["results"]
        return {result["metadata"]["replay_of"]: (result["question"], result["content"]) for result in found}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def live(kafka: Broker, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Replayed]:
    async with with_topics(kafka, tmp_path_factory.mktemp("replay")) as settings, scripted_provider() as provider:
        provider.script("ferry", Reply(text="At ten."))
        provider.script("ticket", Reply(text="Four crowns and a half."))
        stages = ("sentences", "questions", "answers")
        bulk = ("worker", *stages, "results", "--lane", "bulk")
        async with (
            working(settings, *stages, environ=provider.environ),
            running(settings, *bulk, environ=provider.environ) as worker,
            gateway(settings) as http,
            Tail.of(settings, ANSWERS) as tail,
        ):
            offsets = await write(settings, TRANSCRIPTS, "call", [*CALL, End()])
            await write(settings, TRANSCRIPTS, "other/1", [AsrChunk(text="Where is the ferry?"), b"no record", End()])
            valid = await tail.until(lambda found: sum(isinstance(one.record, Done) for one in found) >= 3)
            done = [one for one in valid if isinstance(one.record, Done)]
            answered = {
                public_id(one.session, one.stamp.source): one.record.question for one in done if one.stamp.source
            }
            yield Replayed(Batch(settings, provider, http), answered, offsets, worker)


async def live_state(batch: Batch) -> dict[str, Any]:
    """The ends of every live topic and what the live groups have committed, once they rest."""
    settings = batch.settings
    async with admin_client(settings) as client, asyncio.timeout(40):
        while True:
            ends: dict[TopicPartition, int] = {}
            for topic in RIVER:
                async with Tail.of(settings, topic) as tail:
                    ends |= await tail.consumer.end_offsets(tail.consumer.assignment())
            committed = {
                stage: {
                    tp: found.offset
                    for tp, found in (await client.list_consumer_group_offsets(group_of(stage, prefix=prefix))).items()
                }
                for prefix in [settings.topic_prefix]
                for stage in ("sentences", "questions", "answers")
            }
            if all(ends[tp] == offset for offsets in committed.values() for tp, offset in offsets.items()):
                return {"ends": ends, "committed": committed}
            await asyncio.sleep(0.1)


async def test_a_dry_run_counts_and_writes_nothing(live: Replayed) -> None:
    http = live.batch.http
    told = (await http.post("/api/replays", json={"session": "call", "dry_run": True})).json()
    counts = {"records": 3, "sessions": 1, "final_chunks": 3, "questions": 2, "left_out": 1}
    assert {name: told[name] for name in counts} == counts
    assert (told["provider_calls"], told["unreadable"]) == (2, 0)
    whole = (await http.post("/api/replays", json={"from": "2020-01-01T00:00", "dry_run": True})).json()
    assert (whole["sessions"], whole["questions"], whole["unreadable"]) == (2, 3, 1)
    assert (await http.get("/api/batch/tasks")).json()["total"] == 0


async def test_a_replay_asks_again_what_was_asked_live_and_leaves_the_live_lane_as_it_is(live: Replayed) -> None:
    before = await live_state(live.batch)
    task = await live.replay(**{"from": "2020-01-01T00:00", "run": "again"})
    assert (task["status"], task["origin"]) == ("completed", "replay")
    assert task["progress"] == {"total": 2, "completed": 2, "failed": 0, "percentage": 100.0}
    results = await live.results("again")
    assert {of: question for of, (question, _) in results.items()} == live.answered
    assert await live_state(live.batch) == before
    assert any(before["committed"].values())


async def test_a_replay_is_of_one_session_or_of_offsets(live: Replayed) -> None:
    await live.replay(session="call", run="one")
    of_call = {of for of in live.answered if of.startswith("call/")}
    assert (await live.results("one")).keys() == of_call
    settings = live.batch.settings
    async with Tail.of(settings, TRANSCRIPTS) as tail:
        await tail.to_the_end()
        (partition,) = {raw.partition for raw in tail.raw if raw.key == b"call"}
    await live.replay(offsets=f"{partition}:{live.offsets[3]}-{live.offsets[4]}", run="part")
    assert [question for question, _ in (await live.results("part")).values()] == ["How much is a ticket?"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"session": ""},
        {"offsets": "1-2"},
        {"offsets": "999:1-2"},
        {"from": "yesterday"},
        {"session": "call", "run": "a/b"},
        {"session": "call", "rate": 0},
        {"session": "call", "profile": "psychic"},
        {"session": "call", "detector": "huge"},
        {"session": "call", "colour": "red"},
    ],
    ids=json.dumps,
)
async def test_a_replay_that_is_not_right_is_refused(live: Replayed, body: dict[str, Any]) -> None:
    answer = await live.batch.http.post("/api/replays", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")


async def test_live_clients_are_answered_while_a_replay_is_written_and_hear_nothing_of_it(live: Replayed) -> None:
    http = live.batch.http
    asked = {"session": "call", "run": "slow", "rate": 0.1}  # ten seconds between two records
    assert (await http.post("/api/replays", json=asked)).status_code == 201
    port = http.base_url.port or 0
    async with Talker.at(dataclasses.replace(live.batch.settings, port=port), "?session_id=visitor") as talker:
        await talker.chunk("Where is the ferry?")
        heard = [await talker.hear()]
        while heard[-1].get("stage") != "idle":
            heard.append(await talker.hear())
        assert "At ten." in "".join(message["content"] for message in heard if message["type"] == "answer")
        assert (await live.batch.task("slow"))["status"] in ("pending", "running")
        assert (await http.delete("/api/batch/tasks/slow")).status_code == 200
        assert {message["session_id"] for message in heard if "session_id" in message} <= {"visitor"}


async def test_a_replay_whose_gateway_died_on_the_way_fails_visibly_and_another_one_is_complete(live: Replayed) -> None:
    """The last sign of life of the dead one is put into the past, so that nobody has to wait for its silence."""
    settings = dataclasses.replace(live.batch.settings, port=free_port())
    bulk = dataclasses.replace(settings, lane=Lane.BULK)
    async with running(settings, "gateway") as mortal, Tail.of(bulk, TRANSCRIPTS) as tail:
        url = f"http://127.0.0.1:{settings.port}/api/replays"
        await eventually_created(live.batch.http, url, {"session": "call", "run": "cut", "rate": 1})
        await tail.until(lambda found: any(one.session == "cut/call" for one in found))
        mortal.kill()
    await write(settings, TASKS, "cut/publishing", [TaskPublishing(count=1, at=time.time() - 2 * SILENT)])
    task = await live.batch.ended("cut")
    assert task["status"] == "failed" and "under another name" in task["error_message"]

    assert (await live.replay(session="call", run="whole"))["status"] == "completed"
    of = [result["metadata"]["replay_of"] for result in (await live.batch.results("whole"))["results"]]
    assert sorted(of) == sorted(name for name in live.answered if name.startswith("call/"))


async def test_a_run_has_its_name_alone(live: Replayed) -> None:
    first = await live.batch.http.post("/api/replays", json={"session": "nobody", "run": "taken"})
    assert (await live.batch.ended(first.json()["task_id"]))["progress"]["total"] == 0
    again = await live.batch.http.post("/api/replays", json={"session": "call", "run": "taken"})
    assert (again.status_code, again.json()["code"]) == (409, "RUN_EXISTS")


async def test_only_the_first_key_may_replay_what_others_said(live: Replayed) -> None:
    async with gateway(dataclasses.replace(live.batch.settings, api_keys="first,second")) as http:
        body = {"session": "call", "dry_run": True}
        refused = await http.post("/api/replays", json=body, headers={"X-API-Key": "second"})
        assert refused.status_code == 403
        assert (await http.post("/api/replays", json=body, headers={"X-API-Key": "first"})).status_code == 200


async def test_another_model_hears_a_replay(live: Replayed) -> None:
    asked = {"session": "call", "detector": "onnx"}
    told = (await live.batch.http.post("/api/replays", json={**asked, "dry_run": True})).json()
    await live.replay(**asked, run="transformer")
    assert len(await live.results("transformer")) == told["questions"]
    bulk = dataclasses.replace(live.batch.settings, lane=Lane.BULK)
    sentences = [one.record for one in await stored(bulk, SENTENCES) if one.session == "transformer/call"]
    assert {getattr(record, "profile", None) for record in sentences} >= {"model=onnx"}


async def test_a_shell_replays_with_another_detector(live: Replayed, tmp_path: Path) -> None:
    words = ("replay", "--session", "call", "--detector", "all")
    code, out, err = await run(live.batch, *words, "--dry-run")
    assert (code, out.count("\n")) == (0, 1), err
    assert "3 records of 1 sessions (session call), 3 final chunks, about 4 questions" in out
    code, out, err = await run(live.batch, *words, "--run", "keen", "--rate", "1000", "--follow")
    assert (code, out) == (0, "keen\n"), err
    assert len(await live.results("keen")) == 4
    code, _, err = await run(live.batch, "replay")
    assert (code, err.count("\n")) == (2, 1)


async def test_two_runs_are_compared_by_the_place_that_their_questions_had_live(live: Replayed, tmp_path: Path) -> None:
    await live.replay(session="call", run="before")
    live.batch.provider.script("ticket", Reply(text="Five crowns and a half."))
    await live.replay(session="call", run="after", profile="all")
    page = tmp_path / "diff.html"
    code, out, err = await run(live.batch, "compare", "before", "after", "--html", str(page))
    assert (code, err) == (1, "")
    assert "0 questions dropped, 2 added, 1 answered otherwise, 1 the same" in out
    assert "[-Four-]{+Five+} crowns and a half." in out and "+ call/" in out
    assert "<del>Four</del><ins>Five</ins> crowns" in page.read_text()
    code, out, _ = await run(live.batch, "compare", "before", "before")
    assert (code, out.splitlines()[-1].split(", ")[-1]) == (0, "2 the same")
    code, _, err = await run(live.batch, "compare", "before", "never")
    assert (code, err.count("\n")) == (2, 1)


async def test_a_replay_is_compared_with_what_was_answered_live(live: Replayed) -> None:
    live.batch.provider.script("ticket", Reply(text="Six crowns and a half."))
    await live.replay(session="call", run="now", profile="all")
    code, out, err = await run(live.batch, "compare", "live", "now")
    assert (code, err) == (1, "")
    assert "0 questions dropped, 2 added, 1 answered otherwise, 1 the same" in out
    assert "[-Four-]{+Six+} crowns and a half." in out
    found = (await live.batch.http.get("/api/replays/now/live")).json()["results"]
    assert {result["metadata"]["replay_of"] for result in found} == {
        of for of in live.answered if of.startswith("call/")
    }
    await live.replay(session="nobody", run="nothing")
    assert (await live.batch.http.get("/api/replays/nothing/live")).json() == {"results": []}
    code, _, err = await run(live.batch, "compare", "live", "unknown")
    assert (code, err.count("\n")) == (2, 1) and "BATCH_TASK_NOT_FOUND" in err
    task = await live.batch.submit(["Where is the ferry?"])
    refused = await live.batch.http.get(f"/api/replays/{task}/live")
    assert (refused.status_code, "is no replay" in refused.json()["detail"]) == (422, True)
    named = await live.batch.http.post("/api/replays", json={"session": "call", "run": "live"})
    assert (named.status_code, "another name" in named.json()["detail"]) == (422, True)


async def test_a_question_that_was_answered_early_is_compared_as_the_final_one_of_it(
    live: Replayed,
) -> None:
    settings = live.batch.settings
    early = AsrChunk(text="Where is the ferry?", is_final=False, endpointing=Endpointing(early_start=True))
    async with Tail.of(settings, QUESTIONS) as tail:
        await write(settings, TRANSCRIPTS, "hasty", [early])
        await tail.until(lambda found: any(getattr(one.record, "early", False) for one in found))
        await write(settings, TRANSCRIPTS, "hasty", [AsrChunk(text="Where is the ferry?")])
        await tail.until(lambda found: any(getattr(one.record, "confirms", None) for one in found))
    async with Tail.of(settings, ANSWERS) as tail:
        await tail.until(lambda found: any(one.session == "hasty" and isinstance(one.record, Done) for one in found))
    await live.replay(session="hasty", run="patient")
    code, out, err = await run(live.batch, "compare", "live", "patient")
    assert (code, err) == (0, "") and out.endswith("0 added, 0 answered otherwise, 1 the same\n")


async def test_a_rebuilt_database_knows_what_was_replayed(live: Replayed) -> None:
    """Run last: it stops the workers."""
    store = Store(live.batch.settings)
    await live.batch.all_ended()
    await live.bulk.stop()
    before = dict(store.dump())["results"]
    await rebuild(live.batch.settings, lambda _: None)
    assert dict(store.dump())["results"] == before
    assert {row["details"].get("replay_of") for row in before if row["run"] == "again"} >= live.answered.keys()
    store.close()
