"""Conversations that people held, streamed as a recogniser would: the questions that a reader found are answered."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ops.recogniser import recognise
from ops.transcripts import read_transcript
from ops.up import up
from pipeline.settings import Settings
from tests.client import Client
from tests.workers import Told

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

ROOT = Path(__file__).resolve().parents[2]
EXPECTED = Path(__file__).parent / "expected"
LAST = "What is the time?"
CONVERSATIONS = {"en": "committee.en.jsonl", "zh": "schools.zh.jsonl"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Told]]:
    """What a client was told of each conversation by a service on the embedded broker."""
    settings = Settings(
        batch_enabled=False,
        data_path=tmp_path_factory.mktemp("data"),
        knowledge_path=ROOT / "examples" / "knowledge",
        sentence_min_silence=20.0,  # people did not pause where this machine does
        sentence_max_silence=20.0,
    )
    async with up(settings, free_ports=True, log=None) as service:
        yield {lang: await _hold(service.settings, name) for lang, name in CONVERSATIONS.items()}


async def _hold(settings: Settings, name: str) -> Told:
    async with Client.at(settings) as client:
        turns = read_transcript(ROOT / "examples" / "conversations" / name)
        for number, event in enumerate(recognise(turns), start=1):
            await client.socket.send(json.dumps(event.chunk))
            await client.until_acks(number)
        await client.chunk("That is all.")
        await client.chunk(LAST)  # questions are answered in order, so all are when this one is
        await client.until_told(lambda told: "".join(told.sentences[-1:]).endswith(LAST) and told.marks[-1] == "idle")
        return client.told


def _expected(lang: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads((EXPECTED / f"{lang}.json").read_text(encoding="utf-8"))
    return found


def _is_of(asked: str, sentence: str) -> bool:
    """Fillers and address in front are not asked."""
    return sentence.casefold().endswith(asked.casefold())


@pytest.mark.parametrize("lang", CONVERSATIONS)
async def test_the_questions_that_a_reader_found_are_asked(told: dict[str, Told], lang: str) -> None:
    asked = [message["question"] for message in told[lang].messages if message.get("stage") == "analyzing"]
    missing = [
        sentence for sentence in _expected(lang)["questions"] if not any(_is_of(text, sentence) for text in asked)
    ]
    assert missing == []


@pytest.mark.parametrize("lang", CONVERSATIONS)
async def test_what_asks_nothing_is_passed_over(told: dict[str, Told], lang: str) -> None:
    sentences = _expected(lang)["not_questions"]
    assert len(sentences) >= 10
    passed = [message["text"] for message in told[lang].messages if message.get("stage") == "waiting_for_question"]
    assert [sentence for sentence in sentences if sentence not in passed] == []


@pytest.mark.parametrize("lang", CONVERSATIONS)
async def test_each_question_has_one_final_chunk_and_contiguous_indexes(told: dict[str, Told], lang: str) -> None:
    answers: dict[str, list[dict[str, Any]]] = {}
    for message in told[lang].answers:
        answers.setdefault(message["question_id"], []).append(message)
    assert len(answers) == told[lang].stages.count("analyzing")
    for chunks in answers.values():
        assert [chunk["stream_index"] for chunk in chunks] == list(range(len(chunks)))
        assert [chunk["final"] for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
        assert "".join(chunk["content"] for chunk in chunks)
