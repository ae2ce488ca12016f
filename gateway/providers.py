"""What the workers of the answers stage say of their providers, for `/health`: only they know who works."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

import aiohttp

from pipeline.settings import Settings

ANSWER_WITHIN = 2.0  # seconds for a worker's page
WORST_LAST = ("closed", "half-open", "spent", "open")


def pages_of(settings: Settings) -> list[str]:
    """Addresses of the workers' pages: those named, else the one of a worker on this machine.

    >>> pages_of(Settings(answers_pages="http://answers:9100/, http://10.0.0.7:9100"))
    ['http://answers:9100', 'http://10.0.0.7:9100']
    >>> pages_of(Settings(stage_port=9100)), pages_of(Settings())
    (['http://127.0.0.1:9100'], [])
    """
    named = [page.strip().rstrip("/") for page in settings.answers_pages.split(",") if page.strip()]
    return named or ([address(settings.host, settings.stage_port)] if settings.stage_port else [])


def address(host: str, port: int) -> str:
    """Where a server of this machine answers that listens on a host.

    >>> address("0.0.0.0", 8000), address("::1", 8000)
    ('http://127.0.0.1:8000', 'http://[::1]:8000')
    """
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def provider_states(pages: Sequence[str]) -> dict[str, str]:
    """State by provider, the worst of all workers; see `Guarded.state`. A page that does not answer says nothing.

    A name may stand for several workers, as that of a scaled service does: each of its addresses is asked.
    """
    timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN)
    found = await asyncio.gather(*(_addresses(page) for page in pages))
    async with aiohttp.ClientSession(timeout=timeout) as session:
        told = await asyncio.gather(*(_told(session, page) for pages in found for page in pages))
    return merged(told)


async def _addresses(page: str) -> list[str]:
    url = urlsplit(page)
    if url.scheme != "http" or not url.hostname:  # with TLS the name itself has to be asked for
        return [page]
    looking_up = asyncio.get_running_loop().getaddrinfo(url.hostname, url.port or 80, type=socket.SOCK_STREAM)
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            found = await looking_up
    except (OSError, TimeoutError):
        return []
    return sorted({address(str(place[0]), int(place[1])) + url.path for *_, place in found})


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
