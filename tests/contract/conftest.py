"""Providers that speak to fakes, for the contract tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from ops.contract.ours import settings_at
from ops.contract.subjects import KEY, Place
from ops.fakes import Fakes, serving
from pipeline.providers import Provider, open_provider
from pipeline.settings import Settings
from tests.provider_cases import KNOWLEDGE, Open


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands on loopback is asked there, whatever the machine is set to."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
async def scripted() -> Fakes:
    return Fakes()


@pytest.fixture
async def provider_settings(scripted: Fakes, tmp_path: Path) -> AsyncIterator[Settings]:
    """Every server at the scripted one."""
    async with serving(scripted) as url:
        yield settings_at(Place(url, KEY, 30.0, tmp_path), knowledge_path=KNOWLEDGE)


@pytest.fixture
async def open_named(provider_settings: Settings) -> AsyncIterator[Open]:
    """Opens a provider by name."""
    async with AsyncExitStack() as stack:

        async def opened(name: str) -> Provider:
            provider = await open_provider(replace(provider_settings, rag_provider=name))
            stack.push_async_callback(provider.aclose)
            return provider

        yield opened
