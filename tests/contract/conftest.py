"""Providers that speak to fakes, for the contract tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from ops.fakes import serving
from pipeline.providers import Provider, open_provider
from pipeline.settings import Settings
from tests.provider_cases import (
    CASES,
    KEY,
    KINDS,
    KNOWLEDGE,
    Kinds,
    Open,
    addresses,
)


@pytest.fixture
def provider_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return Settings(
        knowledge_path=KNOWLEDGE,
        data_path=tmp_path,
        **{f"{name}_api_key": KEY for name in ("openai", "context", "dify", "custom_rag", "serper")},  # type: ignore[arg-type]
    )


@pytest.fixture
async def scripted() -> Kinds:
    return Kinds()


@pytest.fixture
async def open_named(provider_settings: Settings, scripted: Kinds) -> AsyncIterator[Open]:
    """Opens a provider by name, with its settings pointing at the scripted server."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(scripted))

        async def opened(name: str, **changes: object) -> Provider:
            given = {**addresses(url), **CASES[name], **changes}
            scripted.kind = KINDS.get(name, "")
            provider = await open_provider(replace(provider_settings, **given))  # type: ignore[arg-type]
            stack.push_async_callback(provider.aclose)
            return provider

        yield opened
