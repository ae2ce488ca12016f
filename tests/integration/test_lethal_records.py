"""A record that kills its process: found by running alone, buried, and the others go on."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pipeline.settings import Settings
from tests.crashing_stage import DEADLY
from tests.workers import ROOT, dead_letters, stored_until
from tests.writers import CUTTING, Member, heard, spoken
from topics.catalog import QUESTIONS
from topics.codec import encode
from topics.messages import Failed
from topics.sources import Source

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

INNOCENT = [f"{number}." for number in range(12)]
TEXTS = [*INNOCENT[:5], DEADLY, *INNOCENT[5:]]


async def said(settings: Settings) -> None:
    """The sentences stand in one partition, each in a session of its own."""
    await heard(settings, len(TEXTS))
    async with Member.of(settings, CUTTING) as member:
        assignment = await member.opened()
        for offset, text in enumerate(TEXTS):
            await member.write(assignment, spoken(text, offset), Source(offset, 1), session=f"call-{offset}")


@asynccontextmanager
async def crashing_stage(settings: Settings, concurrency: int) -> AsyncIterator[Process]:
    environment = {**os.environ, **settings.environment()}
    command = [sys.executable, "-m", "tests.crashing_stage", str(concurrency)]
    with (settings.data_path / "crashing.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def kills(settings: Settings, concurrency: int) -> int:
    """Start the stage again and again until it gets through; gives how many of its processes were killed."""
    for killed in range(8):
        async with crashing_stage(settings, concurrency) as process:
            through = asyncio.create_task(stored_until(settings, QUESTIONS, len(TEXTS)))
            ended = asyncio.create_task(process.wait())
            await asyncio.wait({through, ended}, return_when=asyncio.FIRST_COMPLETED)
            through.cancel()
            await asyncio.gather(through, return_exceptions=True)
            if not ended.done():
                process.terminate()
                assert await ended == 0
                return killed
            assert await ended == 9
    raise AssertionError((settings.data_path / "crashing.log").read_text())


@pytest.mark.parametrize("concurrency", [0, 4], ids=["on arrival", "on lanes"])
async def test_a_record_that_kills_its_process_goes_to_the_dead_letters_and_the_others_are_handled(
    kafka_settings: Settings, concurrency: int
) -> None:
    await said(kafka_settings)
    assert await kills(kafka_settings, concurrency) <= 4
    found = await stored_until(kafka_settings, QUESTIONS, len(TEXTS))
    handled = [item.record.text for item in found if not isinstance(item.record, Failed)]
    (failed,) = [item for item in found if isinstance(item.record, Failed)]
    assert sorted(handled) == sorted(INNOCENT)
    assert failed.session == "call-5"
    (letter,) = await dead_letters(kafka_settings, encode(spoken(DEADLY, 5)))
    assert "killed its process" in letter.headers["rag-error"]
