"""Everything on one machine: ready when it says so, mended when a part dies, gone when it ends."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from ops.ports import free_port, is_free
from ops.up import child_environment, up
from pipeline.settings import Settings

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def alone(tmp_path: Path) -> Settings:
    """Settings of a machine without a Kafka."""
    (tmp_path / "note.md").write_text("# Schools\n\nRural schools get more money from the year 2030 on.\n")
    return Settings(
        data_path=tmp_path / "data",
        batch_storage_path=tmp_path / "results",
        knowledge_path=tmp_path,
        port=free_port(),
        drain_timeout=5.0,
    )


def _children(pid: int) -> set[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return {int(word) for word in found.stdout.split()}


def _alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if Path(f"/proc/{pid}/stat").exists() and " Z " not in _stat(pid)}


def _stat(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return " Z "


@contextmanager
def _run(settings: Settings) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`realtime-rag up` that has said ready, and the line that said it."""
    command = [sys.executable, "-m", "ops.cli", "up"]
    log = settings.data_path.parent / "run.log"
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            command, cwd=ROOT, env=child_environment(settings), stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("ready: "), log.read_text()
            yield process, line
        finally:
            process.kill()


async def _until_gone(pids: set[int]) -> None:
    async with asyncio.timeout(20):
        while _alive(pids):
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_run_says_ready_and_a_signal_stops_everything(alone: Settings, number: signal.Signals) -> None:
    with _run(alone) as (process, line):
        assert f"http://127.0.0.1:{alone.port}" in line
        assert f"ws://127.0.0.1:{alone.port}/ws/realtime-asr" in line
        broker_port = int(re.findall(r"Tansu .* at 127\.0\.0\.1:(\d+)", line)[0])
        gateway = f"http://127.0.0.1:{alone.port}"
        assert httpx.get(f"{gateway}/readyz", trust_env=False).status_code == 200
        assert httpx.get(f"{gateway}/health", trust_env=False).json()["states"] == {"local": "closed"}
        children = _children(process.pid)
        assert len(children) == 4  # broker, gateway, and the stages of each lane
        process.send_signal(number)
        assert await asyncio.to_thread(process.wait, 30) == 0
        assert _alive(children) == set()
        assert is_free(alone.port)
        assert is_free(broker_port)


async def test_nothing_of_a_killed_supervisor_stays_behind(alone: Settings) -> None:
    with _run(alone) as (process, _):
        children = _children(process.pid)
        assert len(_alive(children)) == 4
        process.kill()
    await _until_gone(children)


async def test_killed_stages_are_started_again_and_the_service_gets_ready(alone: Settings) -> None:
    lines: list[str] = []
    async with up(alone, free_ports=True, log=lines.append) as running:
        first = running.stages.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as client:
            while running.stages.pid in (first, None):
                await asyncio.sleep(0.05)
            while not (await client.get(f"{running.url}/readyz")).is_success:
                await asyncio.sleep(0.05)
        assert "stages   | ended with -9, starts again in 0.5 s" in lines
    assert running.gateway.pid is None
    assert running.stages.pid is None


async def test_a_batch_task_is_answered_on_the_embedded_broker(alone: Settings) -> None:
    alone = dataclasses.replace(alone, stage_port=next(port for port in iter(free_port, 0) if is_free(port + 1)))
    async with up(alone, free_ports=True, log=None) as running, httpx.AsyncClient(trust_env=False) as client:
        pages = [(await client.get(f"http://127.0.0.1:{alone.stage_port + lane}/health")).json() for lane in (0, 1)]
        body = {"name": "schools", "texts": ["What do rural schools get?", " "]}
        tasks = f"{running.url}/api/batch/tasks"
        task = (await client.post(tasks, json=body)).json()["task_id"]
        async with asyncio.timeout(60):
            while (found := (await client.get(f"{tasks}/{task}")).json())["status"] != "completed":
                await asyncio.sleep(0.1)
        results = (await client.get(f"{tasks}/{task}/results")).json()["results"]
    assert pages == [{"status": "healthy", "providers": {"local": "closed"}}] * 2  # a page for the worker of each lane
    assert found["progress"] == {"total": 2, "completed": 1, "failed": 1, "percentage": 100.0}
    assert "more money" in results[0]["content"]
    assert results[1]["error"] == "EMPTY_QUESTION"
