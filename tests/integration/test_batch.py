"""Batch tasks over HTTP: a gateway, the bulk lane's stages in a process of their own, a real Kafka."""

from __future__ import annotations

import asyncio
import csv
import dataclasses
import io
import json
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from ops.fakes import Reply
from ops.ports import free_port
from pipeline.batches import SILENT
from tests.batches import Batch, gateway, run
from tests.brokers import Broker, with_topics
from tests.providers import scripted_provider
from tests.talker import Talker
from tests.workers import running, write
from topics.catalog import TASKS
from topics.tasks import TaskCreated

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def batch(kafka: Broker, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Batch]:
    """A gateway, and a process with the lane's stages, two answers at once."""
    async with with_topics(kafka, tmp_path_factory.mktemp("batch")) as live, scripted_provider() as provider:
        settings = dataclasses.replace(live, batch_max_concurrent=2)
        stages = ("worker", "sentences", "questions", "answers", "results", "--lane", "bulk")
        async with running(settings, *stages, environ=provider.environ), gateway(settings) as http:
            yield Batch(settings, provider, http)


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert isinstance(answer.json()["detail"], str)
    return answer.status_code, answer.json()["code"]


async def test_texts_are_answered_each_in_its_place(batch: Batch) -> None:
    batch.provider.script("first", Reply(text="One."))
    batch.provider.script("second", Reply(text="Two."))
    answer = await batch.http.post(
        "/api/batch/tasks", json={"name": "two", "description": "of them", "texts": ["The first?", "The second?"]}
    )
    told = answer.json()
    assert answer.status_code == 201
    assert (told["status"], told["total_items"]) == ("pending", 2)
    task = await batch.ended(told["task_id"])
    assert task["created_at"] == told["created_at"] < task["started_at"] <= task["completed_at"]
    assert (task["name"], task["description"], task["status"]) == ("two", "of them", "completed")
    assert task["progress"] == {"total": 2, "completed": 2, "failed": 0, "percentage": 100.0}
    page = await batch.results(told["task_id"])
    assert (page["total"], page["page"], page["size"], page["status"]) == (2, 1, 100, "completed")
    found = [(item["index"], item["text"], item["status"], item["content"]) for item in page["results"]]
    assert found == [(0, "The first?", "completed", "One."), (1, "The second?", "completed", "Two.")]


async def test_results_are_paged_also_while_the_task_runs(batch: Batch) -> None:
    batch.provider.script("slowly", Reply(text="word " * 40, delay=0.05))
    texts = [f"Who answers slowly {index}?" for index in range(8)]
    task = await batch.submit(texts)
    async with asyncio.timeout(40):
        while (await batch.task(task))["progress"]["completed"] < 1:
            await asyncio.sleep(0.05)
    pages = [await batch.results(task, page=number, size=3) for number in (1, 2, 3, 4)]
    assert [[item["index"] for item in page["results"]] for page in pages] == [[0, 1, 2], [3, 4, 5], [6, 7], []]
    items = [item for page in pages for item in page["results"]]
    assert [item["text"] for item in items] == texts
    assert {item["status"] for item in items} == {"pending", "completed"}
    assert all((item["content"] is None) == (item["status"] == "pending") for item in items)
    await batch.http.delete(f"/api/batch/tasks/{task}")


async def test_a_cancelled_task_stays_cancelled_and_its_work_stops(batch: Batch) -> None:
    batch.provider.script("endless", Reply(text="word " * 5000, delay=0.05))
    task = await batch.submit([f"What is endless {index}?" for index in range(20)])
    await batch.until(task, "running")
    answer = await batch.http.delete(f"/api/batch/tasks/{task}")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert problem(await batch.http.delete(f"/api/batch/tasks/{task}")) == (409, "TASK_ENDED")
    other = await batch.submit(["Is anybody free?"])
    assert (await batch.ended(other))["status"] == "completed"
    assert (await batch.task(task))["status"] == "cancelled"
    assert {item["status"] for item in (await batch.results(task))["results"]} == {"cancelled"}
    assert batch.provider.calls("endless") <= 4


async def test_a_paused_task_waits_for_resume(batch: Batch) -> None:
    batch.provider.script("long one", Reply(text="a b c", delay=0.1))
    task = await batch.submit([f"Which is the long one {index}?" for index in range(10)])
    paused = (await batch.http.post(f"/api/batch/tasks/{task}/pause")).json()
    assert paused["paused"] is True and paused["status"] in ("pending", "running")
    between = await batch.submit(["And between?"])
    await batch.ended(between)
    assert (await batch.task(task))["status"] != "completed"
    assert (await batch.http.post(f"/api/batch/tasks/{task}/resume")).json()["paused"] is False
    assert (await batch.ended(task))["progress"]["completed"] == 10
    assert problem(await batch.http.post(f"/api/batch/tasks/{task}/pause")) == (409, "TASK_ENDED")


async def test_tasks_are_listed_newest_first_and_by_status(batch: Batch) -> None:
    older, newer = await batch.submit(["Older?"]), await batch.submit(["Newer?"])
    await batch.ended(older), await batch.ended(newer)
    listed = (await batch.http.get("/api/batch/tasks", params={"status": "completed"})).json()
    ids = [task["task_id"] for task in listed["tasks"]]
    assert ids.index(newer) < ids.index(older)
    assert {task["status"] for task in listed["tasks"]} == {"completed"}
    assert problem(await batch.http.get("/api/batch/tasks", params={"status": "lost"})) == (422, "INVALID_REQUEST")
    first = (await batch.http.get("/api/batch/tasks", params={"size": 1})).json()
    assert (len(first["tasks"]), first["total"]) == (1, (await batch.http.get("/api/batch/tasks")).json()["total"])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "n"},
        {"name": "n", "texts": []},
        {"name": "", "texts": ["a"]},
        {"name": "n" * 101, "texts": ["a"]},
        {"name": "n", "texts": ["a"] * 10_001},
        {"name": "n", "texts": ["a"], "description": "d" * 501},
        {"name": "n", "texts": [5]},
        {"name": "n", "texts": ["a"], "options": {"mode": "sing"}},
        {"name": "n", "texts": ["a"], "options": {"max_concurrent": 0}},
        {"name": "n", "texts": ["\ud800"]},
        {"name": "n", "texts": ["a"], "options": {"x": "\ud800"}},
    ],
    ids=lambda body: json.dumps(body)[:50],
)
async def test_a_request_that_is_not_right_is_refused_with_its_field(batch: Batch, body: dict[str, Any]) -> None:
    answer = await batch.http.post("/api/batch/tasks", content=json.dumps(body))
    assert problem(answer) == (422, "INVALID_REQUEST")


async def test_an_unknown_task_is_not_found(batch: Batch) -> None:
    for method, path in [("GET", ""), ("GET", "/results"), ("DELETE", ""), ("POST", "/pause")]:
        answer = await batch.http.request(method, f"/api/batch/tasks/unknown{path}")
        assert problem(answer) == (404, "BATCH_TASK_NOT_FOUND")


async def test_the_same_request_under_one_key_is_one_task_on_every_gateway(batch: Batch) -> None:
    batch.provider.script("only once", Reply(text="Once."))
    body = {"name": "once", "texts": ["Is it asked only once?"]}
    headers = {"Idempotency-Key": "k-1"}
    async with gateway(batch.settings) as other:
        ids = {
            (await http.post("/api/batch/tasks", json=body, headers=headers)).json()["task_id"]
            for http in (batch.http, other, batch.http)
        }
        assert len(ids) == 1
        changed = await other.post("/api/batch/tasks", json=body | {"name": "other"}, headers=headers)
        assert problem(changed) == (422, "INVALID_REQUEST")
    await batch.ended(ids.pop())
    assert batch.provider.calls("only once") == 1


async def test_a_task_is_there_on_another_gateway_as_soon_as_it_is_submitted(batch: Batch) -> None:
    async with gateway(batch.settings) as other:
        for _ in range(3):
            task = await batch.submit(["Anybody?"])
            assert (await other.get(f"/api/batch/tasks/{task}")).status_code == 200


async def test_a_full_queue_refuses_and_says_when_to_come_again(batch: Batch) -> None:
    batch.provider.script("queued", Reply(text="word " * 5000, delay=0.05))
    await batch.all_ended()
    async with gateway(dataclasses.replace(batch.settings, batch_max_queue_size=1)) as http:
        body = {"name": "full", "texts": ["What is queued?"]}
        first = (await http.post("/api/batch/tasks", json=body)).json()["task_id"]
        status = (await http.get("/api/batch/status")).json()
        assert status["queue"]["max_size"] == 1 and status["queue"]["available_slots"] == 0
        refused = await http.post("/api/batch/tasks", json=body)
        assert problem(refused) == (429, "BATCH_QUEUE_FULL")
        assert int(refused.headers["retry-after"]) > 0
        await http.delete(f"/api/batch/tasks/{first}")
        last = await http.post("/api/batch/tasks", json=body)
        assert last.status_code == 201
        await http.delete(f"/api/batch/tasks/{last.json()['task_id']}")


async def test_the_state_of_the_queue_counts_what_waits_and_runs(batch: Batch) -> None:
    status = (await batch.http.get("/api/batch/status")).json()
    queue = status["queue"]
    assert (status["is_running"], status["max_concurrent"], queue["max_size"]) == (True, 2, 1000)
    assert queue["available_slots"] == 1000 - queue["pending"] - queue["running"]
    assert (await batch.http.get("/health")).json()["services"]["batch_processing"] is True


async def test_batch_tasks_that_are_switched_off_are_gone(batch: Batch) -> None:
    async with gateway(dataclasses.replace(batch.settings, batch_enabled=False)) as http:
        for method, path in [("POST", "/tasks"), ("GET", "/tasks"), ("GET", "/tasks/x/results"), ("GET", "/status")]:
            answer = await http.request(method, f"/api/batch{path}")
            assert problem(answer) == (503, "BATCH_DISABLED")
        assert (await http.get("/health")).json()["services"]["batch_processing"] is False


async def test_a_task_belongs_to_the_key_that_submitted_it(batch: Batch) -> None:
    async with gateway(dataclasses.replace(batch.settings, api_keys="one,two")) as http:
        one, two = {"X-API-Key": "one"}, {"X-API-Key": "two"}
        body = {"name": "mine", "texts": ["Mine?"]}
        assert problem(await http.post("/api/batch/tasks", json=body)) == (401, "UNAUTHORIZED")
        task = (await http.post("/api/batch/tasks", json=body, headers=one)).json()["task_id"]
        assert (await http.get(f"/api/batch/tasks/{task}", headers=one)).status_code == 200
        assert problem(await http.get(f"/api/batch/tasks/{task}", headers=two)) == (404, "BATCH_TASK_NOT_FOUND")
        assert task not in (await http.get("/api/batch/tasks", headers=two)).text


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


async def test_all_results_are_exported_as_json_lines_and_csv(batch: Batch) -> None:
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


async def eventually_created(http: httpx.AsyncClient, url: str, body: Any, headers: Any) -> str:
    """The task's id, from a gateway that is just starting."""
    async with asyncio.timeout(40):
        while True:
            try:
                answer = await http.post(url, json=body, headers=headers)
                if answer.status_code == 201:
                    return str(answer.json()["task_id"])
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
