"""Who answers: the settings in, a provider out; ours by name, others by the entry points of installed packages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from pipeline.errors import ConfigurationError
from pipeline.providers.base import Provider
from pipeline.providers.indexing import build_index
from pipeline.providers.local import LocalProvider
from pipeline.providers.openai import OpenAIProvider
from pipeline.settings import Settings

log = logging.getLogger(__name__)

ENTRY_POINTS = "realtime_rag.providers"


def index_path(settings: Settings) -> Path:
    """Folder of the knowledge index."""
    return settings.data_path / "index"


async def open_provider(settings: Settings) -> Provider:
    """The provider of the settings, ready to be asked: the index of `local` is brought up to date first, in a thread.

    Raises:
        ConfigurationError: as `build_provider`, and where the knowledge cannot be read.
    """
    if settings.rag_provider == LocalProvider.name:
        report = await asyncio.to_thread(build_index, settings.knowledge_path, index_path(settings))
        for skipped in report.skipped:
            log.warning("Knowledge without %s: %s.", skipped.name, skipped.reason)
    return build_provider(settings)


def build_provider(settings: Settings) -> Provider:
    """The provider of the settings; no connection is opened, and for `local` the index has to be there.

    Raises:
        ConfigurationError: an unknown name (the message lists the known ones), a missing key (it names the variable),
            an unusable address, no index, or an installed provider that cannot be loaded.
    """
    name = settings.rag_provider.strip().lower()
    if name in _OURS:
        return _OURS[name](settings)
    foreign = {point.name.lower(): point for point in entry_points(group=ENTRY_POINTS)}
    if name in foreign:
        return _load(foreign[name], settings)
    known = ", ".join(sorted(_OURS.keys() | foreign.keys()))
    raise ConfigurationError(f"RAG_PROVIDER={settings.rag_provider!r} is no provider: choose one of {known}.")


def _local(settings: Settings) -> Provider:
    return LocalProvider(index_path(settings))


def _openai(settings: Settings) -> Provider:
    return OpenAIProvider(
        name="openai",
        setting="OPENAI",
        key=_required(settings.openai_api_key, "OPENAI_API_KEY", "openai"),
        base_url=_required(settings.openai_base_url, "OPENAI_BASE_URL", "openai"),
        model=settings.openai_model,
        timeout=settings.openai_timeout,
        index=_existing_index(settings),
    )


def _context(settings: Settings) -> Provider:
    return OpenAIProvider(
        name="context",
        setting="CONTEXT",
        key=_required(settings.context_api_key, "CONTEXT_API_KEY", "context"),
        base_url=_required(settings.context_base_url, "CONTEXT_BASE_URL", "context"),
        model="",
        timeout=settings.context_timeout,
    )


_OURS: dict[str, Callable[[Settings], Provider]] = {"local": _local, "openai": _openai, "context": _context}


def _required(value: str, variable: str, provider: str) -> str:
    if not value.strip():
        hint = " (a server without keys takes any word)" if variable.endswith("_KEY") else ""
        raise ConfigurationError(
            f"RAG_PROVIDER={provider} needs {variable}{hint}: set it, or choose RAG_PROVIDER=local."
        )
    return value.strip()


def _existing_index(settings: Settings) -> Path | None:
    """The index, if `realtime-rag index` was run: whoever made one wants its passages in the answers."""
    folder = index_path(settings)
    return folder if folder.is_dir() else None


def _load(point: EntryPoint, settings: Settings) -> Provider:
    try:
        provider = point.load()(settings)
    except (ImportError, AttributeError, TypeError) as exc:
        raise ConfigurationError(
            f"The installed provider {point.name!r} ({point.value}) cannot be loaded: {exc}"
        ) from exc
    if not isinstance(provider, Provider):
        raise ConfigurationError(
            f"The installed provider {point.name!r} ({point.value}) is none: inherit from pipeline.providers.Provider."
        )
    return provider
