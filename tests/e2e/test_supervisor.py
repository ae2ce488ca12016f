"""Child processes: restarted, ended in order, never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ops.processes import Process
from ops.supervisor import keep_running
from pipeline.errors import ConfigurationError

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
SLEEP = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(600)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(600)",
]


async def _until_said(process: Process) -> None:
    async with asyncio.timeout(20):
        while not process.last_lines:
            await asyncio.sleep(0.01)


async def _until_gone(pid: int) -> None:
    async with asyncio.timeout(10):
        while Path(f"/proc/{pid}").exists() and "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text():
            await asyncio.sleep(0.02)


async def test_a_child_is_asked_to_end() -> None:
    child = Process("child", SLEEP, log=None)
    child.start()
    await _until_said(child)
    await child.stop(grace=10)
    assert child.exit_code == -signal.SIGTERM


async def test_a_child_that_does_not_listen_is_killed() -> None:
    child = Process("child", DEAF, log=None)
    child.start()
    await _until_said(child)
    await child.stop(grace=0.2)
    assert child.exit_code == -signal.SIGKILL


async def test_children_of_a_killed_parent_end() -> None:
    """A supervisor that gets SIGKILL cannot clean up after itself."""
    code = (
        "import time; from ops.processes import Process; "
        f"child = Process('child', {SLEEP!r}, log=None); child.start(); "
        "exec('while not child.last_lines: time.sleep(0.01)'); print(child.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        parent.kill()
    await _until_gone(pid)


async def test_a_child_that_fails_is_started_again_and_the_log_names_it() -> None:
    lines: list[str] = []
    child = Process(
        "questions", [sys.executable, "-c", f"import os; os.kill({os.getpid()}, 0); exit(3)"], log=lines.append
    )
    keeping = asyncio.create_task(keep_running(child))
    async with asyncio.timeout(20):
        while len(lines) < 2:
            await asyncio.sleep(0.01)
    keeping.cancel()
    await asyncio.wait({keeping})
    await child.stop()
    assert lines[:2] == [
        "questions | ended with 3, starts again in 0.5 s",
        "questions | ended with 3, starts again in 1 s",
    ]


async def test_a_child_that_only_a_person_can_help_is_not_started_again() -> None:
    code = "import sys; print('starting'); sys.stderr.write('realtime-rag: Port 8000 is taken.\\n'); sys.exit(2)"
    with pytest.raises(ConfigurationError, match="^Port 8000 is taken.$"):
        await keep_running(Process("gateway", [sys.executable, "-u", "-c", code], log=None))
