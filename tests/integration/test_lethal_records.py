"""A record that kills its process: found by running alone, buried, and the others go on."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pipeline.settings import Settings
from tests.crashing_stage import DEADLY
from tests.workers import ROOT, Told, dead_letters, messages_of, stored, stored_until, told_until
from tests.writers import CUTTING, JUDGING, Hop, Member, hear, spoken
from topics.catalog import ANSWERS, QUESTIONS
from topics.codec import encode
from topics.messages import Failed, Question, Record
from topics.sources import Source

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

KILLS = 4  # at one position: at the third and the fourth the record was alone

INNOCENT = [f"{number}." for number in range(12)]
TEXTS = [*INNOCENT[:5], DEADLY, *INNOCENT[5:]]


async def given(settings: Settings, hop: Hop, records: Sequence[Record]) -> None:
    """The records stand in one partition of the output of a stage, each in a session of its own."""
    await hear(settings, hop.reads(settings), [b"{}"] * len(records))
    async with Member.of(settings, hop) as member:
        assignment = await member.opened()
        for offset, record in enumerate(records):
            await member.write(assignment, record, Source(offset, 1), session=f"call-{offset}")


@asynccontextmanager
async def crashing_stage(settings: Settings, kind: str) -> AsyncIterator[Process]:
    """No commit by the clock: one that moves the position on between two kills would begin the count anew."""
    settings = dataclasses.replace(settings, commit_interval=600.0)
    environment = {**os.environ, **settings.environment()}
    command = [sys.executable, "-m", "tests.crashing_stage", kind]
    with (settings.data_path / "crashing.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def kills(settings: Settings, kind: str, through: Callable[[], Coroutine[Any, Any, Any]]) -> int:
    """Start the stage again and again until it gets through; gives how many of its processes were killed."""
    for killed in range(8):
        async with crashing_stage(settings, kind) as process:
            waiting, ended = asyncio.create_task(through()), asyncio.create_task(process.wait())
            await asyncio.wait({waiting, ended}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            if not ended.done():
                process.terminate()
                assert await ended == 0
                return killed
            assert await ended == 9
    raise AssertionError((settings.data_path / "crashing.log").read_text())


@pytest.mark.parametrize("kind", ["inline", "lanes"])
async def test_a_record_that_kills_its_process_goes_to_the_dead_letters_and_the_others_are_handled(
    kafka_settings: Settings, kind: str
) -> None:
    await given(kafka_settings, CUTTING, [spoken(text, offset) for offset, text in enumerate(TEXTS)])
    assert await kills(kafka_settings, kind, lambda: stored_until(kafka_settings, QUESTIONS, len(TEXTS))) == KILLS
    found = await stored_until(kafka_settings, QUESTIONS, len(TEXTS))
    handled = [item.record.text for item in found if not isinstance(item.record, Failed)]
    (failed,) = [item for item in found if isinstance(item.record, Failed)]
    assert sorted(handled) == sorted(INNOCENT)
    assert failed.session == "call-5"
    (letter,) = await dead_letters(kafka_settings, encode(spoken(DEADLY, 5)))
    assert "killed its process" in letter.headers["rag-error"]


def asked(text: str) -> Question:
    return Question(text=text, original=text, score=1.0, reason="test")


async def test_a_question_that_kills_its_process_ends_with_an_error_and_the_others_are_answered(
    kafka_settings: Settings,
) -> None:
    """Some of its answer was shown before."""
    texts = ["How?", "Why?", DEADLY, "When?"]
    await given(kafka_settings, JUDGING, [asked(text) for text in texts])
    assert await kills(kafka_settings, "answers", lambda: all_ended(kafka_settings, len(texts))) == KILLS
    found = await stored(kafka_settings, ANSWERS)
    told = [Told(messages_of(found, f"call-{number}")) for number in range(len(texts))]
    assert [mine.texts for mine in told] == [["It is so."], ["It is so."], [], ["It is so."]]
    assert told[2].marks[-2:] == ["RAG_ERROR", "idle"]
    assert [mine.stages.count("idle") for mine in told] == [1, 1, 1, 1]
    assert (
        "killed its process" in next(message for message in told[2].messages if message["type"] == "error")["message"]
    )


async def all_ended(settings: Settings, number: int) -> None:
    for session in range(number):
        await told_until(settings, f"call-{session}", "idle")
