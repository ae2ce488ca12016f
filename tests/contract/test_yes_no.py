"""A provider that is asked whether a sentence asks something: its answers in, what they count as out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from ops.fakes import Fakes, Reply, serving
from pipeline.errors import ConfigurationError
from pipeline.providers.yes_no import YesNo
from pipeline.settings import Settings

pytestmark = pytest.mark.contract


@pytest.fixture
async def fakes() -> AsyncIterator[tuple[Fakes, Settings]]:
    server = Fakes()
    async with serving(server) as url:
        yield server, Settings(openai_api_key="test", openai_base_url=url, question_ask_provider="openai")


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (Reply(text="Yes"), "yes"),
        (Reply(text="no."), "no"),
        (Reply(text="是的。"), "yes"),
        (Reply(text="That depends."), "unclear"),
        (Reply(text="yes", first_delay=5.0), "late"),
        (Reply(text="yes no yes no", delay=0.2), "late"),
        (Reply(status=500), "failed"),
        (Reply(text="yes it does ask", cut_after=1), "failed"),
    ],
)
async def test_its_first_word_counts_if_it_comes_whole_and_in_time(
    fakes: tuple[Fakes, Settings], reply: Reply, outcome: str
) -> None:
    server, settings = fakes
    server.replies["the hall"] = [reply]
    checks = YesNo(replace(settings, question_ask_timeout=0.4))
    async with asyncio.timeout(2.0):
        assert await checks.ask("tell me about the hall", "We could rent it.") == outcome
    await checks.aclose()
    [request] = server.requests
    assert "tell me about the hall" in request.question and "We could rent it." in request.question


async def test_it_is_asked_so_often_an_hour_and_no_more(fakes: tuple[Fakes, Settings]) -> None:
    server, settings = fakes
    server.replies["*"] = [Reply(text="Yes")]
    now = [0.0]
    checks = YesNo(replace(settings, question_ask_per_hour=2), clock=lambda: now[0])
    assert [await checks.ask(f"sentence {number}") for number in range(3)] == ["yes", "yes", "spent"]
    now[0] = 3700.0
    assert await checks.ask("another hour") == "yes"
    await checks.aclose()
    assert len(server.requests) == 3


async def test_one_that_fails_again_and_again_is_left_alone(fakes: tuple[Fakes, Settings]) -> None:
    server, settings = fakes
    server.replies["*"] = [Reply(status=500)]
    checks = YesNo(replace(settings, provider_breaker_failures=2))
    assert [await checks.ask(f"sentence {number}") for number in range(4)] == ["failed"] * 4
    await checks.aclose()
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("name", "told"), [("openai", "OPENAI_API_KEY"), ("local", "only finds texts"), ("nobody", "QUESTION_ASK_PROVIDER")]
)
def test_one_that_cannot_be_asked_is_told_at_the_start(name: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        YesNo(Settings(question_ask_provider=name))
