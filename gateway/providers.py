"""What the workers of the answers stage say of their providers, for `/health`: only they know who works."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aiohttp

from pipeline.settings import Settings

ANSWER_WITHIN = 2.0  # seconds for a worker's page
WORST_LAST = ("closed", "half-open", "spent", "open")


def pages_of(settings: Settings) -> list[str]:
    """Addresses of the workers' pages: those named, else the one of a worker on this machine."""
    named = [page.strip().rstrip("/") for page in settings.answers_pages.split(",") if page.strip()]
    return named or ([f"http://{settings.host}:{settings.stage_port}"] if settings.stage_port else [])


async def provider_states(pages: Sequence[str]) -> dict[str, str]:
    """State by provider, the worst of all workers; see `Guarded.state`. A page that does not answer says nothing."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        told = await asyncio.gather(*(_told(session, page) for page in pages))
    return merged(told)


async def _told(session: aiohttp.ClientSession, page: str) -> dict[str, str]:
    try:
        async with session.get(f"{page}/health") as response:
            states = (await response.json())["providers"]
            return {str(name): str(state) for name, state in states.items()}
    except (aiohttp.ClientError, TimeoutError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def merged(told: Sequence[dict[str, str]]) -> dict[str, str]:
    """The worst state of each provider.

    >>> merged([{"dify": "closed", "local": "closed"}, {"dify": "open"}, {}])
    {'dify': 'open', 'local': 'closed'}
    """
    worst: dict[str, str] = {}
    for states in told:
        for name, state in states.items():
            if name not in worst or _rank(state) > _rank(worst[name]):
                worst[name] = state
    return worst


def _rank(state: str) -> int:
    return WORST_LAST.index(state) if state in WORST_LAST else len(WORST_LAST)
