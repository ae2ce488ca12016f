"""A gateway and the bulk lane as tests of batch tasks use them."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from ops.ports import free_port
from pipeline.settings import Settings
from tests.brokers import Broker, with_topics
from tests.providers import Scripted, scripted_provider
from tests.talker import served
from tests.workers import running, until
from topics.catalog import Lane

ENDED = {"completed", "failed", "cancelled"}


class Batch(NamedTuple):
    settings: Settings
    provider: Scripted
    http: httpx.AsyncClient

    async def submit(self, texts: list[str], name: str = "a task", **options: Any) -> str:
        """Submit texts; gives the id of the task."""
        answer = await self.http.post("/api/batch/tasks", json={"name": name, "texts": texts, "options": options})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["task_id"])

    async def task(self, task: str) -> dict[str, Any]:
        answer = await self.http.get(f"/api/batch/tasks/{task}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def until(self, task: str, *statuses: str) -> dict[str, Any]:
        """The task as soon as its status is one of these."""
        async with asyncio.timeout(40):
            while (found := await self.task(task))["status"] not in statuses:
                await asyncio.sleep(0.05)
        return found

    async def ended(self, task: str) -> dict[str, Any]:
        return await self.until(task, *ENDED)

    async def all_ended(self) -> None:
        """Return when no task waits or runs."""
        async with asyncio.timeout(40):
            while (await self.http.get("/api/batch/status")).json()["queue"]["available_slots"] < 1000:
                await asyncio.sleep(0.05)

    async def results(self, task: str, **page: int) -> dict[str, Any]:
        answer = await self.http.get(f"/api/batch/tasks/{task}/results", params=page)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@asynccontextmanager
async def gateway(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway on a port of its own that knows the tasks, and a client of it."""
    settings = dataclasses.replace(settings, port=free_port(), lane=Lane.LIVE)
    async with served(settings) as server, httpx.AsyncClient(trust_env=False, timeout=20) as client:
        client.base_url = httpx.URL(f"http://127.0.0.1:{settings.port}")
        tasks = server.config.app.state.gateway.tasks  # type: ignore[union-attr]
        await until(lambda: tasks.trouble is None or not settings.batch_enabled)
        yield client


@asynccontextmanager
async def batch_service(kafka: Broker, folder: Path) -> AsyncIterator[Batch]:
    """A gateway, and a process with the lane's stages, two answers at once."""
    async with with_topics(kafka, folder) as live, scripted_provider() as provider:
        settings = dataclasses.replace(live, batch_max_concurrent=2)
        stages = ("worker", "sentences", "questions", "answers", "results", "--lane", "bulk")
        async with running(settings, *stages, environ=provider.environ), gateway(settings) as http:
            yield Batch(settings, provider, http)


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert isinstance(answer.json()["detail"], str)
    return answer.status_code, answer.json()["code"]


async def run(batch: Batch, *words: str, typed: str = "") -> tuple[int, str, str]:
    """A command of the command line: exit code, output, errors."""
    url, settings = str(batch.http.base_url), batch.settings
    environment = {**os.environ, **settings.environment(), "GATEWAY_URL": url}
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-m", "ops.cli", *words]
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment)
    out, err = await process.communicate(typed.encode())
    return process.returncode or 0, out.decode(), err.decode()


async def eventually_created(http: httpx.AsyncClient, url: str, body: Any, headers: Any = None) -> str:
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
