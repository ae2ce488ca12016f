"""docker-compose.yml and .env.example: commands that the command line has, variables that the settings have."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from ops.broker.kafka import kafka_version
from ops.cli import app
from ops.up import BULK_STAGES, STAGES
from pipeline.settings import Settings

pytestmark = pytest.mark.contract

ROOT = Path(__file__).resolve().parents[2]
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "realtime-rag"}
VARIABLES = {field.name.upper() for field in dataclasses.fields(Settings)}


def test_each_stage_is_a_service_that_scales_by_itself() -> None:
    assert {name: OURS[name]["command"] for name in STAGES} == {name: f"worker {name}" for name in STAGES}
    assert all("ports" not in OURS[name] and "container_name" not in OURS[name] for name in STAGES)


def test_the_bulk_lane_has_workers_of_its_own() -> None:
    commands = [OURS[name]["command"].split() for name in ("bulk", "results")]
    assert [word for command in commands for word in command[1:-2]] == list(BULK_STAGES)
    assert all(command[-2:] == ["--lane", "bulk"] for command in commands)


def test_who_writes_the_results_and_who_reads_them_share_their_folder() -> None:
    assert all("results:/results" in OURS[name]["volumes"] for name in ("results", "gateway"))


def test_who_indexes_the_documents_and_who_answers_from_them_share_folder_and_index() -> None:
    shared = set.intersection(*(set(OURS[name]["volumes"]) for name in ("gateway", "answers", "bulk")))
    assert {mount.rpartition(":/")[2] for mount in shared} == {"knowledge:ro", "data/index"}


def test_the_gateway_sees_the_page_of_every_worker_that_answers() -> None:
    pages = {f"http://{name}:{OURS[name]['environment']['STAGE_PORT']}" for name in ("answers", "bulk")}
    assert set(OURS["gateway"]["environment"]["ANSWERS_PAGES"].split(",")) == pages
    assert all(OURS[name]["environment"]["HOST"] == "0.0.0.0" for name in ("answers", "bulk"))


def test_the_env_file_of_the_user_reaches_every_service_but_moves_no_port_inside() -> None:
    assert all(service["env_file"] == [{"path": ".env", "required": False}] for service in OURS.values())
    assert OURS["gateway"]["ports"][0].rpartition(":")[2] == OURS["gateway"]["environment"]["PORT"]


@pytest.mark.parametrize("name", OURS)
def test_a_command_is_one_of_the_command_line(name: str) -> None:
    shown = CliRunner().invoke(app, [*OURS[name]["command"].split(), "--help"])
    assert shown.exit_code == 0


@pytest.mark.parametrize("name", OURS)
def test_a_services_environment_is_read_by_the_settings(name: str) -> None:
    environment = {key: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for key, value in OURS[name]["environment"].items()}
    assert environment.keys() <= VARIABLES
    assert Settings.from_env(environment).kafka_bootstrap_servers == "kafka:9092"


def test_kafka_is_the_version_that_we_test_with() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{kafka_version()}"


def test_the_gateway_is_published_on_loopback_only() -> None:
    assert all(port.startswith("127.0.0.1:") for port in OURS["gateway"]["ports"])


def test_a_container_is_given_the_time_to_drain() -> None:
    seconds = {name: int(service["stop_grace_period"].removesuffix("s")) for name, service in OURS.items()}
    assert min(seconds.values()) > Settings().drain_timeout


def test_the_image_holds_every_package() -> None:
    copied = re.findall(r"^COPY (\w+) \1$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert copied == ["topics", "pipeline", "storage", "agents", "gateway", "ops"]


def test_the_example_environment_names_settings() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    named = {line.lstrip("#").split("=")[0] for line in lines if re.match(r"#?[A-Z_]+=", line)}
    assert named
    assert named <= VARIABLES
