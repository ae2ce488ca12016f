"""A stage is a Faust app like any other: Faust's own command line runs it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pipeline.settings import Settings
from tests.workers import ROOT, stored_until, write
from topics.catalog import SENTENCES, TRANSCRIPTS
from topics.messages import AsrChunk

pytestmark = pytest.mark.integration


async def test_faust_runs_a_stage_and_ends_it_at_sigterm(kafka_settings: Settings) -> None:
    command = [sys.executable, "-m", "faust", "-A", "agents.sentences", "worker", "-l", "info", "--without-web"]
    environment = {**os.environ, **kafka_settings.environment()}
    log = kafka_settings.data_path / "faust.log"
    with log.open("wb") as output, subprocess.Popen(command, cwd=ROOT, env=environment, stderr=output) as worker:
        try:
            await write(kafka_settings, TRANSCRIPTS, "call-1", [AsrChunk(text="It was a gift.")])
            (sentence,) = await stored_until(kafka_settings, SENTENCES, 1)
            worker.terminate()
            assert worker.wait(30) == 0, log.read_text()
        finally:
            worker.kill()
    assert sentence.record.text == "It was a gift."
