"""Killing every process of the bulk lane in the middle of a batch loses no item and counts none twice.

`BATCH_ITEMS=2000 python -m pytest tests/integration/test_batch_kills.py` is the long run of docs/chaos.md.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import random
from typing import Any

import httpx
import pytest

from ops.fakes import Reply
from ops.ports import free_port
from pipeline.settings import Settings
from storage.store import Store
from tests.providers import scripted_provider
from tests.workers import Worker, until
from topics.catalog import Lane

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

ITEMS = int(os.environ.get("BATCH_ITEMS", "200"))
SLOWEST = 0.5 if ITEMS >= 2000 else 0.3  # seconds of an answer, from a tenth of it on
KILLED = {0.25: 0, 0.4: 2, 0.55: 3, 0.7: 1}  # part of the batch that was asked when a process dies, and which
STAGES = ("worker", "sentences", "questions", "answers", "--lane", "bulk")
RESULTS = ("worker", "results", "--lane", "bulk")


async def progress(http: httpx.AsyncClient, url: str) -> dict[str, Any]:
    """The task; a gateway that is just being started is waited for."""
    while True:
        try:
            answer = await http.get(url)
            if answer.is_success:
                return dict(answer.json())
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)


async def test_every_item_has_one_result_whoever_is_killed(kafka_settings: Settings) -> None:
    settings = dataclasses.replace(kafka_settings, port=free_port())
    delays = random.Random(7)
    async with scripted_provider() as provider, httpx.AsyncClient(trust_env=False, timeout=20) as http:
        for index in range(ITEMS):
            delay = delays.uniform(SLOWEST / 10, SLOWEST)
            provider.script(f"number {index}?", Reply(text=f"It is {index}.", first_delay=delay))
        commands = [STAGES, STAGES, RESULTS, ("gateway",)]
        running = [Worker(settings, *words, environ=provider.environ) for words in commands]
        try:
            tasks = f"http://127.0.0.1:{settings.port}/api/batch/tasks"
            while True:
                try:
                    texts = [f"What is number {index}?" for index in range(ITEMS)]
                    answer = await http.post(tasks, json={"name": "all", "texts": texts})
                    if answer.status_code == 201:
                        break
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)
            task = answer.json()["task_id"]
            for part, index in KILLED.items():
                await until(lambda part=part: len(provider.server.requests) >= part * ITEMS, seconds=600)  # type: ignore[misc]
                running[index].kill()
                running[index] = Worker(settings, *commands[index], environ=provider.environ)
            while (found := await progress(http, f"{tasks}/{task}"))["status"] not in ("completed", "failed"):
                await asyncio.sleep(0.05)
        finally:
            for process in running:
                process.kill()
        assert (found["status"], found["progress"]["completed"], found["progress"]["failed"]) == ("completed", ITEMS, 0)
        store = Store(dataclasses.replace(settings, lane=Lane.BULK))
        items = store.items(task, range(ITEMS), "lost")
        rows = dict(store.dump())["results"]
        store.close()
        assert [item["content"] for item in items] == [f"It is {index}." for index in range(ITEMS)]
        assert len(rows) == ITEMS
        print(f"{len(provider.server.requests) / ITEMS:.3f} calls of the provider an item")
