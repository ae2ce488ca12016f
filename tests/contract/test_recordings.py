"""What our providers make of the bytes of vendors: samples in their published form, and anybody's recordings."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops.contract.ours import QUESTION
from ops.fakes import SAMPLES, Fakes, read_script, recording, sample
from ops.fakes.recordings import FOLDER
from pipeline.errors import ConfigurationError
from pipeline.providers import Delta, End, build_provider, errors
from pipeline.settings import Settings
from tests.provider_cases import told

pytestmark = pytest.mark.contract

COUNTED = {"prompt_tokens": 21, "completion_tokens": 7, "total_tokens": 28}
IN_PART = {"prompt_tokens": 20, "completion_tokens": 8, "total_tokens": 28, "estimated": True}  # Dify's tell the total
WORDS = ["Fourteen", " days", " —", " 十四天", "."]
TWICE = ["Fourteen", " days — 十四天."]
LINKS = ["", "https://example.org/about", "https://example.org/backups", "https://example.org/restore"]


@pytest.mark.parametrize(
    ("name", "chosen", "pieces", "usage", "thread"),
    [
        ("openai-chat", {"rag_provider": "openai"}, WORDS, COUNTED, ""),
        ("openai-chat", {"rag_provider": "context"}, WORDS, COUNTED, ""),
        ("openai-responses", {"rag_provider": "openai", "openai_api": "responses"}, WORDS, COUNTED, ""),
        ("dify-chatbot", {"rag_provider": "dify"}, TWICE, IN_PART, "conv-sample"),
        ("dify-agent", {"rag_provider": "dify"}, TWICE, IN_PART, "conv-sample"),
        ("dify-chatflow", {"rag_provider": "dify"}, TWICE, IN_PART, "conv-sample"),
    ],
)
async def test_a_published_stream_is_read_to_its_text_usage_and_conversation(
    provider_settings: Settings,
    scripted: Fakes,
    name: str,
    chosen: Any,
    pieces: list[str],
    usage: dict[str, Any],
    thread: str,
) -> None:
    scripted.replies = {"*": [sample(name)]}
    provider = build_provider(replace(provider_settings, **chosen))
    async with aclosing(provider.stream(QUESTION)) as items:
        *said, end = [item async for item in items]
    await provider.aclose()
    assert said == [Delta(piece) for piece in pieces]
    assert isinstance(end, End)
    assert (end.usage, end.thread, end.sources, end.found) == (usage, thread, [], True)


OTHERS = """
event: ping

data: {"event": "node_retry", "task_id": "t", "data": {"index": 1}}

data: {"event": "iteration_started", "task_id": "t", "data": {}}

data: {"event": "iteration_completed", "task_id": "t", "data": {}}

data: {"event": "loop_started", "task_id": "t", "data": {}}

data: {"event": "agent_log", "task_id": "t", "data": {"label": "thought"}}

data: {"event": "tts_message", "task_id": "t", "audio": "//uQxAAA"}

data: {"event": "tts_message_end", "task_id": "t", "audio": ""}

data: {"event": "message_file", "id": "f", "type": "image", "url": "https://example.org/a.png"}

data: {"event": "of tomorrow", "answer": "not ours to show"}

"""


@pytest.mark.parametrize("name", ["dify-chatbot", "dify-agent", "dify-chatflow"])
async def test_difys_other_events_are_passed_over_wherever_they_stand(
    provider_settings: Settings, scripted: Fakes, name: str
) -> None:
    published = sample(name)
    wire = published.wire.replace("\n\n", f"\n{OTHERS}", 3)
    scripted.replies = {"*": [replace(published, wire=wire)]}
    provider = build_provider(replace(provider_settings, rag_provider="dify"))
    assert (await told(provider))[0] == TWICE
    await provider.aclose()


async def test_published_search_results_are_quoted_with_their_links(
    provider_settings: Settings, scripted: Fakes
) -> None:
    scripted.replies = {"*": [sample("serper")]}
    provider = build_provider(replace(provider_settings, rag_provider="serper"))
    pieces, end = await told(provider)
    await provider.aclose()
    assert [source.get("url", "") for source in end.sources] == LINKS
    assert pieces[0] == "14 days [1]\n\n"
    assert pieces[-1].startswith("[1] Harbour / Backups\n[2] Harbour (https://example.org/about)\n")


async def test_a_published_flow_that_waits_for_a_person_is_a_failure_for_good(
    provider_settings: Settings, scripted: Fakes
) -> None:
    scripted.replies = {"*": [sample("dify-paused")]}
    provider = build_provider(replace(provider_settings, rag_provider="dify"))
    with pytest.raises(errors.AnswerFailed, match="waits for a person's input") as failed:
        await told(provider)
    await provider.aclose()
    assert not failed.value.retryable


async def test_a_question_can_ask_for_a_sample(provider_settings: Settings, scripted: Fakes) -> None:
    provider = build_provider(replace(provider_settings, rag_provider="openai"))
    pieces, _ = await told(provider, replace(QUESTION, text="sample:openai-chat and the backups?"))
    await provider.aclose()
    assert pieces == WORDS


async def test_a_recording_of_ones_own_is_replayed_byte_for_byte(
    provider_settings: Settings, scripted: Fakes, tmp_path: Path
) -> None:
    file = tmp_path / "answer.ndjson"
    file.write_bytes(b'{"content": "vierzehn"}\r\n\r\n{"content": " Tage"}')
    scripted.replies = {"*": [recording(file)]}
    provider = build_provider(replace(provider_settings, rag_provider="custom"))
    assert (await told(provider))[0] == ["vierzehn", " Tage"]
    await provider.aclose()


def test_a_script_names_samples_and_refuses_others() -> None:
    script = {"replies": {"*": ["sample:dify-agent", "429"]}}
    assert read_script(script)["*"][0] == sample("dify-agent")
    with pytest.raises(ConfigurationError, match="no sample 'dify'; there are openai-chat"):
        read_script({"replies": {"*": ["sample:dify"]}})


@pytest.mark.parametrize("name", ["answer.txt", "nowhere.sse"])
def test_a_recording_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        recording(tmp_path / name)


def test_every_sample_says_where_its_form_was_published() -> None:
    assert {file.stem for file in FOLDER.iterdir()} == set(SAMPLES)
    assert all(sample.document.startswith("https://") and sample.example for sample in SAMPLES.values())
