"""Who answers: the settings in, a provider out; ours by name, others by the entry points of installed packages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pipeline.errors import ConfigurationError
from pipeline.providers.base import Provider
from pipeline.providers.chain import Chain
from pipeline.providers.custom import CustomProvider, Form
from pipeline.providers.dify import DifyProvider
from pipeline.providers.guard import Guarded, Policy
from pipeline.providers.index import KnowledgeIndex
from pipeline.providers.local import LocalProvider
from pipeline.providers.openai import Model, OpenAIProvider
from pipeline.providers.opening import index_path, open_knowledge, update_knowledge
from pipeline.providers.paths import Paths
from pipeline.providers.prices import Prices
from pipeline.providers.prompts import INSTRUCTIONS
from pipeline.providers.routing import ROUTINGS, Searching
from pipeline.providers.serper import SerperProvider
from pipeline.secrets import redacted
from pipeline.settings import Settings
from topics.catalog import Lane

log = logging.getLogger(__name__)

ENTRY_POINTS = "realtime_rag.providers"

Known = dict[str, Guarded]  # by name: breaker, limits and budgets are one provider's, whoever asks it


async def open_provider(settings: Settings, known: Known | None = None) -> Guarded | Chain | Searching:
    """The provider of the settings, ready to be asked: the index of `local` is brought up to date first, in a thread.

    Args:
        settings: who it is, and how to reach it.
        known: those that this process has already; they are used again, and new ones are added.

    Raises:
        ConfigurationError: as `build_provider`, and where the knowledge cannot be read.
    """
    if LocalProvider.name in names_of(settings):
        report = await asyncio.to_thread(update_knowledge, settings)
        for skipped in report.skipped:
            log.warning("Knowledge without %s: %s.", skipped.name, skipped.reason)
    return build_provider(settings, known)


def build_provider(settings: Settings, known: Known | None = None) -> Guarded | Chain | Searching:
    """The provider of the settings; no connection is opened, and for `local` the index has to be there.

    Raises:
        ConfigurationError: an unknown name (the message lists the known ones), a missing key (it names the variable),
            an unusable address, no index, or an installed provider that cannot be loaded.
    """
    known = {} if known is None else known
    guarded = [_guarded(name, settings, known) for name in names_of(settings)]
    provider = guarded[0] if len(guarded) == 1 else Chain(guarded)
    if not settings.search_provider or SerperProvider.name in names_of(settings):
        return provider
    routing = settings.search_routing.strip().lower()
    if routing not in ROUTINGS:
        raise ConfigurationError(f"SEARCH_ROUTING={settings.search_routing!r} is not one of {', '.join(ROUTINGS)}.")
    return Searching(provider, _guarded(_search_name(settings), settings, known), routing)


def names_of(settings: Settings) -> list[str]:
    """Names of the providers, in the order in which they are asked; search alone where there is no other.

    Raises:
        ConfigurationError: there is none, or one twice.
    """
    names = [name.strip().lower() for name in settings.rag_provider.split(",")]
    names = [name for name in names if name and name != "none"]
    if not names and settings.search_provider:
        names = [_search_name(settings)]
    if not names or len(set(names)) < len(names):
        raise ConfigurationError(f"RAG_PROVIDER={settings.rag_provider!r} must name a provider, or some, each once.")
    return names


def _search_name(settings: Settings) -> str:
    name = settings.search_provider.strip().lower()
    if name != SerperProvider.name:
        raise ConfigurationError(f"SEARCH_PROVIDER={settings.search_provider!r} is not known: it can be serper.")
    return name


def _guarded(name: str, settings: Settings, known: Known) -> Guarded:
    if name not in known:
        clean = partial(redacted, settings)
        known[name] = Guarded(_provider(name, settings), _policy(name, settings), clean=clean)
    return known[name]


def _provider(name: str, settings: Settings) -> Provider:
    if name in _OURS:
        return _OURS[name](settings)
    foreign = {point.name.lower(): point for point in entry_points(group=ENTRY_POINTS)}
    if name in foreign:
        return _load(foreign[name], settings)
    known = ", ".join(sorted(_OURS.keys() | foreign.keys()))
    raise ConfigurationError(f"RAG_PROVIDER={name!r} is no provider: choose one of {known}.")


def _policy(name: str, settings: Settings) -> Policy:
    """Limits as the settings divide them between the lanes; what runs in our own process has none."""
    prices = Prices.read(settings.provider_prices).get(name, Prices())
    if name == LocalProvider.name:
        return Policy(breaker=0, counts=False)
    if settings.provider_cost_per_hour and not prices and name in _SILENT:
        raise ConfigurationError(f"PROVIDER_COST_PER_HOUR needs a price of {name}: {_SILENT[name]}")
    share = settings.provider_live_share if settings.lane is Lane.LIVE else 1 - settings.provider_live_share
    return Policy(
        breaker=settings.provider_breaker_failures,
        concurrency=_part(settings.provider_concurrency, share),
        rate=_part(settings.provider_rate, share),
        tokens=_part(settings.provider_tokens_per_hour, share),
        cost=settings.provider_cost_per_hour * share,
        first_piece=settings.provider_first_piece,
        total=settings.provider_deadline,
        counts=name != SerperProvider.name,
        prices=prices,
        model={"openai": settings.openai_model, "context": settings.context_model}.get(name, ""),
    )


# Those who never say what an answer cost, and how to say it for them.
_SILENT = {
    "openai": "PROVIDER_PRICES=openai=INPUT/OUTPUT, money for a million tokens.",
    "context": "PROVIDER_PRICES=context=INPUT/OUTPUT, money for a million tokens.",
    "serper": "PROVIDER_PRICES=serper=PRICE, money for a search.",
}


def _part(limit: int, share: float) -> int:
    return max(1, round(limit * share)) if limit else 0


def _local(settings: Settings) -> Provider:
    return LocalProvider(open_knowledge(settings))


def _openai(settings: Settings) -> Provider:
    base_url = _required(settings.openai_base_url, "OPENAI_BASE_URL", "openai")
    if settings.openai_api not in ("chat", "responses"):
        raise ConfigurationError(f"OPENAI_API={settings.openai_api!r} is neither chat nor responses.")
    return OpenAIProvider(
        "openai",
        "OPENAI",
        key=_required(settings.openai_api_key, "OPENAI_API_KEY", "openai"),
        base_url=base_url,
        timeout=settings.openai_timeout,
        model=Model(
            name=settings.openai_model,
            instructions=settings.openai_system_prompt or INSTRUCTIONS,
            defaults=_model_defaults(settings, base_url),
            responses=settings.openai_api == "responses",
        ),
        index=_existing_index(settings),
    )


def _model_defaults(settings: Settings, base_url: str) -> dict[str, Any]:
    defaults: dict[str, Any] = {}
    if settings.openai_temperature.strip():
        try:
            defaults["temperature"] = float(settings.openai_temperature)
        except ValueError as exc:
            raise ConfigurationError(f"OPENAI_TEMPERATURE={settings.openai_temperature!r} is not a number.") from exc
    if settings.openai_max_tokens:  # the vendor's own newer models refuse the old name, other servers know no other
        name = "max_completion_tokens" if "api.openai.com" in base_url else "max_tokens"
        defaults[name] = settings.openai_max_tokens
    return defaults


def _context(settings: Settings) -> Provider:
    return OpenAIProvider(
        "context",
        "CONTEXT",
        key=_required(settings.context_api_key, "CONTEXT_API_KEY", "context"),
        base_url=_required(settings.context_base_url, "CONTEXT_BASE_URL", "context"),
        timeout=settings.context_timeout,
        model=Model(settings.context_model, settings.openai_system_prompt or INSTRUCTIONS),
    )


def _dify(settings: Settings) -> Provider:
    if settings.dify_conversation_id and not settings.dify_user:
        raise ConfigurationError("DIFY_CONVERSATION_ID needs DIFY_USER: a conversation belongs to one user.")
    return DifyProvider(
        key=_required(settings.dify_api_key, "DIFY_API_KEY", "dify"),
        base_url=_required(settings.dify_base_url, "DIFY_BASE_URL", "dify"),
        timeout=settings.dify_timeout,
        user=settings.dify_user,
        conversation=settings.dify_conversation_id,
    )


def _custom(settings: Settings) -> Provider:
    return CustomProvider(
        url=_required(settings.custom_rag_api_url, "CUSTOM_RAG_API_URL", "custom"),
        key=settings.custom_rag_api_key.strip(),
        timeout=settings.custom_rag_timeout,
        form=Form(
            Paths(settings.custom_rag_answer_path),
            Paths(settings.custom_rag_sources_path),
            Paths(settings.custom_rag_usage_path),
        ),
    )


def _serper(settings: Settings) -> Provider:
    return SerperProvider(
        key=_required(settings.serper_api_key, "SERPER_API_KEY", "serper"),
        base_url=_required(settings.serper_base_url, "SERPER_BASE_URL", "serper"),
        timeout=settings.serper_timeout,
    )


_OURS: dict[str, Callable[[Settings], Provider]] = {
    "local": _local,
    "openai": _openai,
    "context": _context,
    "dify": _dify,
    "custom": _custom,
    "serper": _serper,
}


def _required(value: str, variable: str, provider: str) -> str:
    if not value.strip():
        hint = " (a server without keys takes any word)" if variable.endswith("_KEY") else ""
        raise ConfigurationError(
            f"The provider {provider} needs {variable}{hint}: set it, or choose RAG_PROVIDER=local."
        )
    return value.strip()


def _existing_index(settings: Settings) -> KnowledgeIndex | None:
    """The index, if `realtime-rag index` was run: whoever made one wants its passages in the answers."""
    return open_knowledge(settings) if index_path(settings).is_dir() else None


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
