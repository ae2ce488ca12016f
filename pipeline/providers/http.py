"""HTTP of the providers: a JSON request out, a response to be read in pieces or whole in."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
import orjson

from pipeline.errors import ConfigurationError
from pipeline.providers.errors import ConnectFailed, MalformedStream, ProviderError, ProviderTimeout, StreamCut
from pipeline.providers.reading import Deadlines, Reading
from pipeline.providers.refusals import refusal, retry_after, words_of

MAX_CONNECT = 10.0  # seconds; a server that does not accept in this time is not there
HEALTH_TIMEOUT = 5.0
READ_OUT = 0.2  # seconds for a server to end its response after the last event
_SHOWN = 200  # characters of a server's own message that are passed on
_VERSION = re.compile(r"/v\d")


@dataclass(frozen=True, slots=True)
class Names:
    """What the settings of a server are called, for messages."""

    key: str
    url: str
    timeout: str

    @classmethod
    def of(cls, prefix: str) -> Names:
        """The usual ones: `OPENAI` gives `OPENAI_API_KEY`."""
        return cls(f"{prefix}_API_KEY", f"{prefix}_BASE_URL", f"{prefix}_TIMEOUT")


class Server:
    """One server with one connection pool; every failure comes out as a `ProviderError` without the key in it."""

    def __init__(self, name: str, base_url: str, key: str, names: Names, header: str = "Authorization") -> None:
        """Prepare the pool; nothing is opened yet.

        Args:
            name: the provider's name, for messages.
            base_url: where paths are appended.
            key: sent as bearer token, or as it is in another header; empty: none is sent.
            names: of its settings, for messages.
            header: that carries the key.

        Raises:
            ConfigurationError: the key holds what no header can carry.
        """
        if not key.isascii() or (key and not key.isprintable()) or " " in key:
            raise ConfigurationError(f"{names.key} holds characters that no key has: paste it again.")
        self._name, self._key, self._names = name, key, names
        self._base_url = base_url
        self._where = httpx.URL(base_url).netloc.decode().rpartition("@")[2]
        self._client = httpx.AsyncClient(
            headers={header: f"Bearer {key}" if header == "Authorization" else key} if key else {},
            verify=_certificates(),
            follow_redirects=False,
        )

    @property
    def who(self) -> str:
        """Name and address, for messages."""
        return f"{self._name} at {self._where}"

    @asynccontextmanager
    async def asking(self, path: str, payload: Mapping[str, Any], deadlines: Deadlines) -> AsyncIterator[Reading]:
        """POST and hand out the response when it is a good one; leaving closes the connection.

        Raises:
            ProviderError: which one says why, see `pipeline.providers.errors`.
        """
        async with self._translated(deadlines.silence), self._answering(path, payload, deadlines) as response:
            await self._check(response)
            yield Reading(response, deadlines, self._late)

    @asynccontextmanager
    async def events(
        self, path: str, payload: Mapping[str, Any], deadlines: Deadlines
    ) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        """POST and hand out the data of each event that has any; leaving closes the connection.

        Raises:
            ProviderError: as `asking`.
        """
        async with self.asking(path, payload, deadlines) as reading, aclosing(reading.events()) as events:
            if reading.media != "text/event-stream":
                raise self.failed("did not answer with a stream of events: is the address right?", MalformedStream)
            yield events

    async def whole(self, path: str, payload: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """POST and read the one object that is the answer.

        Raises:
            ProviderError: as `asking`.
        """
        async with self._translated(seconds), self._answering(path, payload, Deadlines(seconds, seconds)) as response:
            await self._check(response)
            try:
                async with asyncio.timeout(seconds):
                    return self.parsed(await response.aread())
            except TimeoutError as exc:
                raise self._late("did not finish its answer", seconds) from exc

    async def tell(self, path: str, payload: Mapping[str, Any]) -> None:
        """POST what may fail without harm."""
        with suppress(httpx.HTTPError):
            await self._client.post(self._base_url + path, json=dict(payload), timeout=HEALTH_TIMEOUT)

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
    async def _answering(
        self, path: str, payload: Mapping[str, Any], deadlines: Deadlines
    ) -> AsyncIterator[httpx.Response]:
        request = self._client.build_request(
            "POST",
            self._base_url + path,
            content=orjson.dumps(dict(payload)),
            headers={"Content-Type": "application/json", "Accept": "text/event-stream", "Cache-Control": "no-store"},
            timeout=httpx.Timeout(None, connect=MAX_CONNECT, read=deadlines.silence),
        )
        try:
            async with asyncio.timeout(deadlines.first):
                response = await self._client.send(request, stream=True)
        except TimeoutError as exc:
            raise self._late("began no answer", deadlines.first) from exc
        try:
            yield response
        finally:
            await response.aclose()

    def _late(self, what: str, seconds: float) -> ProviderTimeout:
        return ProviderTimeout(
            f"{self.who} {what} for {seconds:g} s: try again, or raise {self._names.timeout}.",
        )

    @asynccontextmanager
    async def _translated(self, seconds: float) -> AsyncIterator[None]:
        """Turn httpx's errors into ours. Their messages are not passed on: some quote the headers of a request."""
        try:
            yield
        except (httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
            raise ProviderTimeout(f"No connection to {self.who} in time: is {self._names.url} right?") from exc
        except (httpx.ConnectError, httpx.ProxyError) as exc:
            raise ConnectFailed(f"No connection to {self.who}: is it running, is {self._names.url} right?") from exc
        except httpx.ReadTimeout as exc:
            raise self._late("sent nothing", seconds) from exc
        except httpx.DecodingError as exc:
            raise self.failed("sent bytes that cannot be decoded.", MalformedStream) from exc
        except httpx.TransportError as exc:
            raise StreamCut(f"The connection to {self.who} broke.") from exc

    async def _check(self, response: httpx.Response) -> None:
        if response.status_code != 200:
            message, code = words_of(await self._body(response))
            after = retry_after(response.headers)
            raise refusal(self.who, self._names.key, response.status_code, self.clean(message), code, after)

    async def _body(self, response: httpx.Response) -> bytes:
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT):
                return await response.aread()
        except (TimeoutError, httpx.HTTPError):
            return b""  # the status alone says enough

    def parsed(self, data: str | bytes) -> dict[str, Any]:
        """An object of a stream or of a whole answer.

        Raises:
            MalformedStream: it is none.
        """
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError as exc:
            raise self.failed("sent what is not JSON.", MalformedStream) from exc
        if not isinstance(value, dict):
            raise self.failed("sent JSON that is not an object.", MalformedStream)
        return value

    def clean(self, text: str) -> str:
        """A server's own words, fit for a log or a client: one short line, without the key."""
        line = " ".join(text.split())
        return (re.sub(re.escape(self._key), "***", line, flags=re.IGNORECASE) if self._key else line)[:_SHOWN]

    def failed(self, message: str, kind: type[ProviderError], *, retryable: bool | None = None) -> ProviderError:
        """An error that begins with who failed."""
        return kind(f"{self.who} {message}", retryable=retryable)


async def read_out(events: AsyncGenerator[bytes, None]) -> None:
    """Read to the end of the body: a connection left in the middle of one cannot serve the next question."""
    with suppress(TimeoutError, ProviderError):
        async with asyncio.timeout(READ_OUT):
            async for _ in events:
                pass


@cache
def _certificates() -> ssl.SSLContext:
    """Certificates that we trust: reading them takes 30 ms or more, so all pools of a process share them."""
    return httpx.create_ssl_context()


def base_address(base_url: str, name: str) -> str:
    """An address without a slash at its end.

    Raises:
        ConfigurationError: it is no http(s) address; names the setting.
    """
    trimmed = base_url.strip().rstrip("/")
    try:
        url = httpx.URL(trimmed)
    except httpx.InvalidURL as exc:
        raise ConfigurationError(f"{name} is not an address ({exc}).") from exc
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError(f"{name} must be an address such as https://api.openai.com/v1.")
    return trimmed


def versioned_base(base_url: str, name: str, tail: str = "/chat/completions") -> str:
    """The base address with its version and no slash at the end, however it was given, even with its last path.

    >>> versioned_base("http://127.0.0.1:11434/", "X"), versioned_base("https://api.openai.com/v1", "X")
    ('http://127.0.0.1:11434/v1', 'https://api.openai.com/v1')

    Raises:
        ConfigurationError: it is no http(s) address; names the setting.
    """
    trimmed = base_address(base_url.strip().rstrip("/").removesuffix(tail), name)
    return trimmed if _VERSION.search(httpx.URL(trimmed).path) else f"{trimmed}/v1"
