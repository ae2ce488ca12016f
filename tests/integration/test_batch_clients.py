"""Batch tasks as their users meet them: uploads, exports, progress, the shell, and a gateway that dies on the way."""

from __future__ import annotations

import asyncio
import csv
import dataclasses
import io
import json
import time
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from ops.fakes import Reply
from ops.ports import free_port
from pipeline.batches import SILENT
from tests.batch_service import Batch, eventually_created, problem, run
from tests.talker import Talker
from tests.workers import running, write
from topics.catalog import TASKS
from topics.tasks import TaskCreated

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text", "Which bell?\n\nWhich clock?\n"),
        ("jsonl", '"Which bell?"\n{"text": "Which clock?"}'),
        ("csv", "id,text\n1,Which bell?\n2,Which clock?\n"),
    ],
)
async def test_an_upload_is_a_task_of_its_lines(batch: Batch, kind: str, body: str) -> None:
    batch.provider.script("Which", Reply(text="That one."))
    params = {"format": kind, "name": "lines", "options": '{"priority": 2}'}
    answer = await batch.http.post("/api/batch/uploads", params=params, content=body)
    assert (answer.status_code, answer.json()["total_items"]) == (201, 2)
    task = await batch.ended(answer.json()["task_id"])
    assert (task["name"], task["status"], task["options"]["priority"]) == ("lines", "completed", 2)
    results = (await batch.results(task["task_id"]))["results"]
    assert [item["text"] for item in results] == ["Which bell?", "Which clock?"]


async def test_an_upload_that_cannot_be_read_says_where_and_fails_its_task(batch: Batch) -> None:
    answer = await batch.http.post("/api/batch/uploads", params={"format": "jsonl"}, content='"one?"\n{"no": 1}\n')
    assert problem(answer) == (422, "INVALID_REQUEST")
    assert "line 2" in answer.json()["detail"]
    task = await batch.task(answer.json()["task_id"])
    assert task["status"] == "failed" and "line 2" in task["error_message"]
    wrong = await batch.http.post("/api/batch/uploads", params={"options": "{"}, content="a")
    assert problem(wrong) == (422, "INVALID_REQUEST")


async def test_progress_is_told_on_each_change_up_to_the_last(batch: Batch) -> None:
    batch.provider.script("tower", Reply(text="a b c d", delay=0.1))
    task = await batch.submit([f"How high is tower {index}?" for index in range(6)])
    async with batch.http.stream("GET", f"/api/batch/tasks/{task}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        told = [json.loads(line.removeprefix("data: ")) async for line in stream.aiter_lines() if line[:6] == "data: "]
    assert {event["type"] for event in told} == {"batch_progress"}
    assert told[-1]["status"] == "completed" and told[-1]["percentage"] == 100.0
    done = [event["progress"]["completed"] for event in told]
    assert done == sorted(done) and all(before != after for before, after in pairwise(told))
    assert problem(await batch.http.get("/api/batch/tasks/unknown/events")) == (404, "BATCH_TASK_NOT_FOUND")


async def test_a_websocket_that_subscribed_hears_of_a_task_until_it_ends(batch: Batch) -> None:
    batch.provider.script("canyon", Reply(text="a b c d", delay=0.1))
    task = await batch.submit([f"How deep is canyon {index}?" for index in range(4)])
    port = batch.http.base_url.port
    async with Talker.at(dataclasses.replace(batch.settings, port=port or 0)) as talker:
        await talker.say("subscribe", task_id=task, id="s1")
        told = [await talker.hear()]
        while told[-1].get("status") != "completed":
            told.append(await talker.hear())
        await talker.say("subscribe", task_id="unknown")
        refused = await talker.hear()
    assert (told[0]["type"], told[0]["received_type"], told[0]["id"]) == ("ack", "subscribe", "s1")
    assert {message["type"] for message in told[1:]} == {"batch_progress"}
    assert told[-1]["task_id"] == task and told[-1]["percentage"] == 100.0
    assert (refused["type"], refused["code"]) == ("error", "BATCH_TASK_NOT_FOUND")


async def test_the_session_that_a_task_names_hears_of_it_without_asking(batch: Batch) -> None:
    batch.provider.script("valley", Reply(text="a b c d", delay=0.1))
    async with Talker.at(dataclasses.replace(batch.settings, port=batch.http.base_url.port or 0)) as talker:
        task = await batch.submit([f"How wide is valley {index}?" for index in range(4)], session_id=talker.session)
        await batch.submit(["How wide is valley 9?"], session_id="somebody-else")
        told = [await talker.hear()]
        while told[-1].get("status") != "completed":
            told.append(await talker.hear())
    assert {(message["type"], message["task_id"], message["session_id"]) for message in told} == {
        ("batch_progress", task, talker.session)
    }
    assert told[-1]["percentage"] == 100.0


async def test_all_results_are_exported_as_json_lines_csv_and_parquet(batch: Batch, tmp_path: Path) -> None:
    batch.provider.script("comma", Reply(text='It is ",", they say.'))
    task = await batch.submit(["What is a comma?", " "])
    await batch.ended(task)
    lines = (await batch.http.get(f"/api/batch/tasks/{task}/export")).text.splitlines()
    assert [json.loads(line) for line in lines] == (await batch.results(task))["results"]
    exported = await batch.http.get(f"/api/batch/tasks/{task}/export", params={"format": "csv"})
    assert exported.headers["content-disposition"] == f'attachment; filename="{task}.csv"'
    rows = list(csv.DictReader(io.StringIO(exported.text)))
    assert [(row["index"], row["status"], row["content"]) for row in rows] == [
        ("0", "completed", 'It is ",", they say.'),
        ("1", "failed", ""),
    ]
    file = str(tmp_path / "results.parquet")
    assert (await run(batch, "batch", "results", task, "--format", "parquet", "--output", file))[0] == 0
    found = parquet.read_table(file).to_pylist()
    assert [(row["index"], row["status"], row["content"]) for row in found] == [
        (0, "completed", 'It is ",", they say.'),
        (1, "failed", ""),
    ]
    code, out, err = await run(batch, "batch", "results", "unknown", "--format", "parquet")
    assert (code, out, err.count("\n")) == (2, "", 1) and "BATCH_TASK_NOT_FOUND" in err


async def test_a_shell_submits_follows_and_reads(batch: Batch, tmp_path: Path) -> None:
    batch.provider.script("market", Reply(text="On Friday."))
    (tmp_path / "when.txt").write_text("When is market?\n")
    code, task, _ = await run(batch, "batch", "submit", str(tmp_path / "when.txt"), "--follow", "-o", "priority=1")
    assert code == 0
    code, out, _ = await run(batch, "batch", "results", task.strip())
    assert (code, json.loads(out)["content"]) == (0, "On Friday.")
    code, out, _ = await run(batch, "batch", "list", "--status", "completed")
    assert code == 0 and f"{task.strip()}  " in out and "when.txt" in out
    code, _, err = await run(batch, "batch", "cancel", task.strip())
    assert (code, err.count("\n")) == (2, 1) and "TASK_ENDED" in err


async def test_a_shell_hears_by_the_exit_code_that_items_failed(batch: Batch) -> None:
    texts = '{"text": "When is market?"}\n{"text": " "}\n'
    code, task, err = await run(batch, "batch", "submit", "-", "--format", "jsonl", "--follow", typed=texts)
    assert (code, "Traceback" in err) == (1, False), err
    code, out, _ = await run(batch, "batch", "status", task.strip())
    assert (code, json.loads(out)["progress"]["failed"]) == (1, 1)


async def test_texts_go_straight_into_the_topic_and_are_read_by_their_run(batch: Batch, tmp_path: Path) -> None:
    batch.provider.script("ferry", Reply(text="At noon."))
    (tmp_path / "q.csv").write_text("text\nWhen does the ferry go?\n")
    code, out, _ = await run(batch, "ingest", str(tmp_path / "q.csv"), "--run", "boats")
    assert (code, out) == (0, "1 texts written as run boats\n")
    async with asyncio.timeout(40):
        while not (found := (await batch.http.get("/api/batch/runs/boats/results")).json())["results"]:
            await asyncio.sleep(0.05)
    assert (found["total"], found["results"][0]["content"]) == (1, "At noon.")


async def test_a_task_whose_gateway_died_while_it_wrote_the_texts_fails_visibly(batch: Batch) -> None:
    """The test says what the gateway said before it died: that there is a task, and some of its items."""
    long_ago = TaskCreated(name="orphan", created_at=time.time() - 2 * SILENT, total=3)
    await write(batch.settings, TASKS, "orphan/created", [long_ago])
    task = await batch.ended("orphan")
    assert task["status"] == "failed" and "submit it again" in task["error_message"]
    assert {item["status"] for item in (await batch.results("orphan"))["results"]} == {"cancelled"}


async def test_a_request_that_is_repeated_after_its_gateway_died_is_finished_by_another_one(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.batch.QUIET", 0.0)
    texts = [f"Nobody asks anything in number {index}." for index in range(3000)]
    body = {"name": "twice", "texts": texts, "options": {"mode": "detect"}}
    headers = {"Idempotency-Key": "dies"}
    settings = dataclasses.replace(batch.settings, port=free_port())
    async with running(settings, "gateway") as mortal:
        url = f"http://127.0.0.1:{settings.port}/api/batch/tasks"
        first = await eventually_created(batch.http, url, body, headers)
        mortal.kill()
    again = await batch.http.post("/api/batch/tasks", json=body, headers=headers)
    assert again.json()["task_id"] == first
    task = await batch.ended(first)
    assert (task["status"], task["progress"]["completed"]) == ("completed", 3000)
