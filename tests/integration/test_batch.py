"""Batch tasks over HTTP: a gateway, the bulk lane's stages in a process of their own, a real Kafka."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

import pytest

from ops.fakes import Reply
from tests.batch_service import Batch, gateway, problem

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


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
