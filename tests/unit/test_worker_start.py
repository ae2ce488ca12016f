"""A worker whose Kafka goes away while it starts says so in one line and ends, to be started again."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.apps import run_worker
from ops.ports import free_port
from pipeline.settings import Settings
from topics.catalog import Lane

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("stage", ["results", "answers"])
def test_kafka_is_away_when_a_stage_asks_for_the_tasks(
    stage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address = f"127.0.0.1:{free_port()}"
    (tmp_path / "note.md").write_text("# Schools\n\nRural schools get more money.\n")
    settings = Settings(
        kafka_bootstrap_servers=address,
        lane=Lane.BULK,
        data_path=tmp_path / "data",
        batch_storage_path=tmp_path,
        knowledge_path=tmp_path,
    )
    assert run_worker([stage], settings) == 1
    lines = [record for record in caplog.records if record.levelname == "ERROR" and record.name.startswith("agents")]
    assert [line.getMessage().partition(":")[0] for line in lines] == ["Kafka went away while the stages started"]
