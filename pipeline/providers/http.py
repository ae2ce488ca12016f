"""HTTP of the providers: the one module that knows httpx; a JSON request out, the data of server-sent events in."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import httpx
import httpx_sse
import orjson

from pipeline.errors import ConfigurationError
from pipeline.providers.errors import (
    AccessDenied,
    ConnectFailed,
    MalformedStream,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
    RequestRefused,
    StreamCut,
)

MAX_CONNECT = 10.0  # seconds; a server that does not accept in this time is not there
HEALTH_TIMEOUT = 5.0
_SHOWN = 200  # characters of a server's own message that are passed on
_VERSION = re.compile(r"/v\d")


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds to wait for the first event of a stream (connection included) and between two of them."""

    first: float
    silence: float


class Server:
    """One server with one connection pool; every failure comes out as a `ProviderError` without the key in it."""

    def __init__(self, name: str, base_url: str, key: str, setting: str) -> None:
        """Prepare the pool; nothing is opened yet.

        Args:
            name: the provider's name, for messages.
            base_url: where paths are appended.
            key: sent as bearer token.
            setting: prefix of the setting names, for messages: `OPENAI` means `OPENAI_API_KEY`.

        Raises:
            ConfigurationError: the key holds what no header can carry.
        """
        if not key.isascii() or not key.isprintable() or " " in key:
            raise ConfigurationError(f"{setting}_API_KEY holds characters that no key has: paste it again.")
        self._name, self._key, self._setting = name, key, setting
        self._base_url = base_url
        self._where = httpx.URL(base_url).netloc.decode().rpartition("@")[2]
        self._client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {key}"},
            verify=_certificates(),
            timeout=httpx.Timeout(None, connect=MAX_CONNECT),  # the rest is watched event by event
            follow_redirects=False,
        )

    async def events(self, path: str, payload: Mapping[str, Any], deadlines: Deadlines) -> AsyncGenerator[str, None]:
        """POST and yield the data of each event that has any; closing the generator closes the connection.

        Raises:
            ProviderError: which one says why, see `pipeline.providers.errors`.
        """
        async with self._translated(), self._answering(path, payload, deadlines.first) as response:
            await self._check(response)
            async with aclosing(httpx_sse.EventSource(response).aiter_sse()) as events:
                waited = deadlines.first
                while True:
                    event = await self._next(events, waited)
                    if event is None:
                        return
                    yield event.data
                    waited = deadlines.silence

    async def reachable(self, path: str) -> bool:
        """Whether a GET is answered by anything but a server's fault or a refused key; never raises."""
        try:
            response = await self._client.get(self._base_url + path, timeout=HEALTH_TIMEOUT)
        except httpx.HTTPError:
            return False
        return response.status_code < 500 and response.status_code not in (401, 403)

    async def aclose(self) -> None:
        """Close the pool."""
        await self._client.aclose()

    @asynccontextmanager
    async def _answering(self, path: str, payload: Mapping[str, Any], seconds: float) -> AsyncIterator[httpx.Response]:
        request = self._client.build_request(
            "POST",
            self._base_url + path,
            content=orjson.dumps(dict(payload)),
            headers={"Content-Type": "application/json", "Accept": "text/event-stream", "Cache-Control": "no-store"},
        )
        try:
            async with asyncio.timeout(seconds):
                response = await self._client.send(request, stream=True)
        except TimeoutError as exc:
            raise self._late("began no answer", seconds) from exc
        try:
            yield response
        finally:
            await response.aclose()

    async def _next(
        self, events: AsyncGenerator[httpx_sse.ServerSentEvent, None], seconds: float
    ) -> httpx_sse.ServerSentEvent | None:
        """The next event with data, None at the end; pings carry none, and do not count as signs of life."""
        try:
            async with asyncio.timeout(seconds):
                async for event in events:
                    if event.data.strip():
                        return event
        except TimeoutError as exc:
            raise self._late("sent nothing", seconds) from exc
        return None

    def _late(self, what: str, seconds: float) -> ProviderTimeout:
        return ProviderTimeout(
            f"{self._name} at {self._where} {what} for {seconds:g} s: try again, or raise {self._setting}_TIMEOUT."
        )

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        """Turn httpx's errors into ours. Their messages are not passed on: some quote the headers of a request."""
        at = f"{self._name} at {self._where}"
        try:
            yield
        except (httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
            raise ProviderTimeout(f"No connection to {at} in time: is {self._setting}_BASE_URL right?") from exc
        except (httpx.ConnectError, httpx.ProxyError) as exc:
            raise ConnectFailed(f"No connection to {at}: is it running, is {self._setting}_BASE_URL right?") from exc
        except httpx_sse.SSEError as exc:
            raise MalformedStream(f"{at} did not answer with a stream of events: is the address right?") from exc
        except httpx.DecodingError as exc:
            raise MalformedStream(f"{at} sent bytes that cannot be decoded.") from exc
        except httpx.TransportError as exc:
            raise StreamCut(f"The connection to {at} broke.") from exc

    async def _check(self, response: httpx.Response) -> None:
        status = response.status_code
        if status == 200:
            return
        if status in (401, 403):
            raise AccessDenied(
                f"{self._name} at {self._where} refused the key ({status}): check {self._setting}_API_KEY.",
                status=status,
            )
        said = self._said(await self._body(response))
        message = f"{self._name} at {self._where} answered {status}{said}"
        after = retry_after(response.headers)
        if status == 429:
            raise RateLimited(message, retry_after=after, status=status)
        if status >= 500 or status in (408, 425):
            raise ProviderUnavailable(message, retry_after=after, status=status)
        raise RequestRefused(message, status=status)

    async def _body(self, response: httpx.Response) -> bytes:
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT):
                return await response.aread()
        except (TimeoutError, httpx.HTTPError):
            return b""  # the status alone says enough

    def _said(self, body: bytes) -> str:
        try:
            answer = orjson.loads(body)
        except orjson.JSONDecodeError:
            return "."
        error = answer.get("error", answer) if isinstance(answer, dict) else None
        text = error.get("message") if isinstance(error, dict) else error
        return f": {self.clean(text)}" if isinstance(text, str) and text else "."

    def clean(self, text: str) -> str:
        """A server's own words, fit for a log or a client: one short line, without the key."""
        line = " ".join(text.split())
        return (line.replace(self._key, "***") if self._key else line)[:_SHOWN]

    def failed(self, message: str, kind: type[ProviderError], *, retryable: bool | None = None) -> ProviderError:
        """An error that begins with who failed."""
        return kind(f"{self._name} at {self._where} {message}", retryable=retryable)


@cache
def _certificates() -> ssl.SSLContext:
    """Certificates that we trust: reading them takes 30 ms or more, so all pools of a process share them."""
    return httpx.create_ssl_context()


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds that a server asks us to wait; both forms of `Retry-After` (RFC 9110 §10.2.3).

    >>> retry_after({"retry-after": "2.5"})
    2.5
    >>> retry_after({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"}, now=50.0)
    10.0
    """
    text = headers.get("retry-after", "")
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - (time.time() if now is None else now))
    except ValueError:
        return None


def versioned_base(base_url: str, setting: str) -> str:
    """The base address with its version and no slash at the end, however it was given.

    >>> versioned_base("http://127.0.0.1:11434/", "OPENAI"), versioned_base("https://api.openai.com/v1", "OPENAI")
    ('http://127.0.0.1:11434/v1', 'https://api.openai.com/v1')

    Raises:
        ConfigurationError: it is no http(s) address; names the setting.
    """
    trimmed = base_url.strip().rstrip("/").removesuffix("/chat/completions")
    try:
        url = httpx.URL(trimmed)
    except httpx.InvalidURL as exc:
        raise ConfigurationError(f"{setting}_BASE_URL is not an address ({exc}).") from exc
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError(f"{setting}_BASE_URL must be an address such as https://api.openai.com/v1.")
    return trimmed if _VERSION.search(url.path) else f"{trimmed}/v1"
