"""What the settings of providers do: addresses, options, and what is refused before anything is asked."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from ops.contract.ours import QUESTION
from ops.contract.subjects import KEY
from ops.fakes import Fakes
from pipeline.errors import ConfigurationError
from pipeline.providers import Turn, build_provider, errors, http, open_provider
from pipeline.providers.catalog import Known
from pipeline.settings import Settings
from tests.provider_cases import Open, told

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("name", ["openai", "context"])
class TestChatCompletions:
    async def test_turns_and_options_reach_the_model_and_the_pipelines_own_options_do_not(
        self, open_named: Open, scripted: Fakes, name: str
    ) -> None:
        options = {"model": "big", "temperature": 0, "max_tokens": 50, "priority": 3, "stream": False, "timeout": 4}
        asked = replace(QUESTION, context=(Turn("Is there a backup?", "Yes."),), options=options)
        await told(await open_named(name), asked)
        body = scripted.requests[0].body
        assert [(said["role"], said["content"]) for said in body["messages"][1:]] == [
            ("user", "Is there a backup?"),
            ("assistant", "Yes."),
            ("user", QUESTION.text),
        ]
        assert (body["model"], body["temperature"], body["max_tokens"], body["stream"]) == ("big", 0, 50, True)
        assert not {"priority", "timeout"} & body.keys()
        assert scripted.requests[0].authorization == f"Bearer {KEY}"


@pytest.mark.parametrize("tail", ["", "/", "/v1", "/v1/", "/v1/chat/completions"])
async def test_a_base_url_works_with_and_without_its_version(
    provider_settings: Settings, scripted: Fakes, tail: str
) -> None:
    url = provider_settings.openai_base_url + tail
    provider = build_provider(replace(provider_settings, rag_provider="openai", openai_base_url=url))
    assert (await told(provider))[0]
    await provider.aclose()
    assert scripted.requests[0].path == "/v1/chat/completions"


async def test_a_server_that_accepts_nobody_is_given_up_when_the_time_to_connect_is_over(
    provider_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "MAX_CONNECT", 0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as stack:
        for _ in range(4):  # the kernel answers as many as the backlog holds, and no more
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        provider = build_provider(replace(provider_settings, rag_provider="openai", openai_base_url=url))
        with pytest.raises(errors.ProviderTimeout, match="No connection to openai.*OPENAI_BASE_URL") as late:
            await told(provider)
        await provider.aclose()
    assert late.value.retryable


async def test_openai_answers_from_the_knowledge_where_an_index_was_made(open_named: Open, scripted: Fakes) -> None:
    await open_named("local")
    _, end = await told(await open_named("openai"))
    assert end.sources[0]["file"] == "en/install.md"
    assert "[1] Installing Harbour > Backup" in scripted.requests[0].body["messages"][0]["content"]


def test_an_unknown_provider_is_refused_with_the_names_that_there_are(provider_settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="RAG_PROVIDER='guru'.*context, custom, dify, local, openai, serper"):
        build_provider(replace(provider_settings, rag_provider="guru"))


@pytest.mark.parametrize(
    ("name", "changes", "variable"),
    [
        ("openai", {"openai_api_key": " "}, "OPENAI_API_KEY"),
        ("openai", {"openai_api_key": "sk-1\nX: y"}, "OPENAI_API_KEY"),
        ("openai", {"openai_base_url": "api.example.org"}, "OPENAI_BASE_URL"),
        ("context", {"context_api_key": ""}, "CONTEXT_API_KEY"),
        ("context", {"context_base_url": ""}, "CONTEXT_BASE_URL"),
        ("openai", {"openai_api": "soap"}, "OPENAI_API"),
        ("openai", {"openai_temperature": "warm"}, "OPENAI_TEMPERATURE"),
        ("dify", {"dify_api_key": ""}, "DIFY_API_KEY"),
        ("dify", {"dify_conversation_id": "c1"}, "DIFY_USER"),
        ("custom", {"custom_rag_api_url": ""}, "CUSTOM_RAG_API_URL"),
        ("serper", {"serper_api_key": ""}, "SERPER_API_KEY"),
        ("openai", {"search_provider": "bing"}, "SEARCH_PROVIDER"),
        ("openai", {"search_provider": "serper", "search_routing": "always"}, "SEARCH_ROUTING"),
        ("openai,local,openai", {}, "RAG_PROVIDER"),
        ("none", {}, "RAG_PROVIDER"),
    ],
)
def test_a_setting_that_is_missing_or_unusable_is_named(
    provider_settings: Settings, name: str, changes: dict[str, str], variable: str
) -> None:
    with pytest.raises(ConfigurationError, match=variable) as error:
        build_provider(replace(provider_settings, rag_provider=name, **changes))  # type: ignore[arg-type]
    assert "sk-1" not in str(error.value)


def test_a_provider_that_is_asked_in_two_ways_has_one_breaker_and_one_budget(provider_settings: Settings) -> None:
    known: Known = {}
    chain = build_provider(replace(provider_settings, rag_provider="openai,dify"), known)
    alone = build_provider(replace(provider_settings, rag_provider="dify", search_provider="serper"), known)
    assert alone.guards[0] is chain.guards[1]
    assert list(known) == ["openai", "dify", "serper"]


async def test_knowledge_that_cannot_be_read_names_its_setting(provider_settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="KNOWLEDGE_PATH"):
        await open_provider(replace(provider_settings, knowledge_path=tmp_path / "nowhere"))
