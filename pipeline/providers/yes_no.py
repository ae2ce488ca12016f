"""Asks a provider whether a sentence asks something, within a time and a number of times an hour."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from pipeline.errors import ConfigurationError
from pipeline.providers.base import Asked, Provider, Replace
from pipeline.providers.catalog import build_provider
from pipeline.providers.errors import ProviderError
from pipeline.providers.limits import Budget
from pipeline.providers.local import LocalProvider
from pipeline.providers.serper import SerperProvider
from pipeline.settings import Settings

Outcome = Literal["yes", "no", "unclear", "late", "failed", "spent"]

INSTRUCTIONS = "You judge sentences that were heard in a live conversation. You answer with one word: yes or no."
_QUESTION = (
    "Does the speaker of the last sentence want to know something, so that an answer would help? Requests for"
    " information count, polite phrases and rhetorical questions do not. Answer with yes or no only."
)
_WORD = re.compile(r"[a-z]+|[\u4e00-\u9fff]+")
_WORDS: dict[str, Outcome] = {
    "yes": "yes",
    "no": "no",
    "是": "yes",
    "是的": "yes",
    "否": "no",
    "不": "no",
    "不是": "no",
}


class YesNo:
    """Asks the provider that QUESTION_ASK_PROVIDER names.

    Args:
        settings: its key and address, and what asking may take.
        clock: seconds that only grow.

    Raises:
        ConfigurationError: there is no such provider, or its settings are missing.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._provider = _opened(settings)
        self.name = self._provider.name
        self.budget = Budget(settings.question_ask_per_hour)  # of questions instead of tokens
        self._timeout, self._clock = settings.question_ask_timeout, clock

    async def ask(self, sentence: str, before: str = "", lang: str | None = None) -> Outcome:
        """Whether a sentence asks something; `before` is the one before it. Takes QUESTION_ASK_TIMEOUT at most."""
        if self.budget.wait(self._clock()):
            return "spent"
        self.budget.spend(1, self._clock())
        said = "\n".join(f"- {text}" for text in (before, sentence) if text)
        try:
            async with asyncio.timeout(self._timeout):
                return read(await self._answer(Asked(f"{_QUESTION}\n\n{said}", lang)))
        except TimeoutError:
            return "late"
        except ProviderError:
            return "failed"

    async def aclose(self) -> None:
        """Give back connections."""
        await self._provider.aclose()

    async def _answer(self, asked: Asked) -> str:
        text = ""
        async for item in self._provider.stream(asked):
            said = getattr(item, "text", "")
            text = said if isinstance(item, Replace) else text + said
        return text


def _opened(settings: Settings) -> Provider:
    name = settings.question_ask_provider.strip().lower()
    if name in (LocalProvider.name, SerperProvider.name):
        raise ConfigurationError(f"QUESTION_ASK_PROVIDER={name} only finds texts: choose one that understands them.")
    asking = replace(
        settings,
        rag_provider=name,
        search_provider="",
        openai_system_prompt=INSTRUCTIONS,
        data_path=settings.data_path / "yes-no",  # no index there: passages of the knowledge do not go along
        provider_concurrency=0,  # limits of its own
        provider_rate=0,
        provider_tokens_per_hour=0,
        provider_cost_per_hour=0.0,
    )
    try:
        return build_provider(asking)
    except ConfigurationError as exc:
        raise ConfigurationError(f"QUESTION_ASK_PROVIDER={name}: {exc}") from exc


def read(answer: str) -> Outcome:
    """What an answer means; `unclear` if it begins with anything else.

    >>> read("Yes."), read("不是"), read("It depends.")
    ('yes', 'no', 'unclear')
    """
    found = _WORD.search(answer.lower())
    return _WORDS.get(found[0], "unclear") if found else "unclear"
