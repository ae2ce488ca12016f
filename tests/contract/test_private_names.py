"""The private names of Faust, mode and aiokafka that the agents lean on stand in the versions that we pin."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import LeaveGroupRequest
from faust import App
from faust.transport.drivers import aiokafka as driver

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]
PINNED = ["faust-streaming", "aiokafka", "mode-streaming"]
LEANED_ON: dict[Any, list[str]] = {
    driver.AIOKafkaConsumerThread: [
        "_create_worker_consumer",
        "_fetch_records",
        "_ensure_consumer",
        "on_start",
        "thread_loop",
        "_close_thread_loop_on_stop",
    ],
    driver.Consumer: [
        "_new_consumer_thread",
        "_getmany",
        "_wait_next_records",
        "_thread",
        "_read_offset",
        "flow_active",
        "stop_flow",
        "perform_seek",
        "force_commit",
        "wait_empty",
        "maybe_wait_for_commit_to_finish",
        "RebalanceListener",
    ],
    driver.ConsumerRebalanceListener: ["_thread", "on_partitions_assigned"],
    driver.Producer: ["_settings_extra", "_ensure_producer"],
    driver.Transport: ["Consumer", "Producer"],
    driver: ["ensure_aiokafka_TP"],
    App: ["consumer_generation_id", "crash", "crashed", "maybe_start_producer", "create_event"],
    AIOKafkaConsumer: ["_coordinator", "_fetch_max_wait_ms", "_fetch_min_bytes", "_partition_assignment_strategy"],
    GroupCoordinator: [
        "generation",
        "member_id",
        "group_id",
        "ensure_coordinator_known",
        "coordinator_dead",
        "fetch_committed_offsets",
        "_send_req",
    ],
}
NAMES = [(owner, name) for owner, names in LEANED_ON.items() for name in names]


def has(owner: Any, name: str) -> bool:
    """A member, or an attribute that the class or one of its bases gives its instances."""
    if hasattr(owner, name):
        return True
    bases = [base for base in getattr(owner, "__mro__", ()) if base is not object]
    return any(re.search(rf"\bself\.{name}\b[^=\n]*=[^=]", inspect.getsource(base)) for base in bases)


@pytest.mark.parametrize("package", PINNED)
def test_what_is_installed_is_what_is_pinned(package: str) -> None:
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    pins = [line.partition("==")[2] for line in dependencies if line.startswith(f"{package}==")]
    assert pins == [version(package)]


@pytest.mark.parametrize(("owner", "name"), NAMES, ids=lambda value: getattr(value, "__name__", value))
def test_the_name_is_there(owner: Any, name: str) -> None:
    assert has(owner, name)


def test_requests_take_what_we_give_them() -> None:
    assert list(inspect.signature(OffsetCommitRequest).parameters)[:5] == [
        "consumer_group",
        "consumer_group_generation_id",
        "consumer_id",
        "retention_time",
        "topics",
    ]
    assert OffsetCommitRequest.DEFAULT_RETENTION_TIME == -1
    assert list(inspect.signature(LeaveGroupRequest).parameters)[:2] == ["group", "member_id"]


def private_names() -> set[str]:
    """Private attributes in agents/*.py that no module there defines itself."""
    used: set[str] = set()
    own: set[str] = set()
    for path in (ROOT / "agents").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                own.add(node.name)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                own.add(node.target.id)
            elif isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
                is_set = isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
                (own if is_set else used).add(node.attr)
    return used - own - {"_exit", "_replace"}  # of the standard library


def test_every_private_name_in_use_is_in_the_list_above() -> None:
    assert private_names() <= {name for _, name in NAMES}
