"""A response on its way: events, lines or bare text, each waited for no longer than the deadlines allow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

import httpx
import httpx_sse

from pipeline.providers.errors import ProviderTimeout

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds to wait for the first event of a stream (connection included) and between two of them."""

    first: float
    silence: float


class Reading:
    """One response; use one of its generators, once."""

    def __init__(
        self, response: httpx.Response, deadlines: Deadlines, late: Callable[[str, float], ProviderTimeout]
    ) -> None:
        self._response, self._deadlines, self._late = response, deadlines, late
        self.media = response.headers.get("content-type", "").partition(";")[0].strip().lower()

    async def events(self) -> AsyncGenerator[str, None]:
        """The data of server-sent events that have any: pings carry none, and do not count as signs of life."""
        events = httpx_sse.EventSource(self._response).aiter_sse()
        async with aclosing(events), aclosing(self._timed(events, _has_data)) as timed:
            async for event in timed:
                yield event.data

    async def lines(self) -> AsyncGenerator[bytes, None]:
        """Lines that are not blank, without their end. Only LF parts them: JSON may hold Unicode's other separators."""
        async with aclosing(_lines(self._response)) as lines, aclosing(self._timed(lines, bytes.strip)) as timed:
            async for line in timed:
                yield line

    async def texts(self) -> AsyncGenerator[str, None]:
        """Text as it comes."""
        async with aclosing(_texts(self._response)) as texts, aclosing(self._timed(texts, bool)) as timed:
            async for text in timed:
                yield text

    async def _timed(self, items: AsyncGenerator[T, None], counts: Callable[[T], object]) -> AsyncGenerator[T, None]:
        seconds = self._deadlines.first
        while True:
            try:
                async with asyncio.timeout(seconds):
                    async for item in items:
                        if counts(item):
                            break
                    else:
                        return
            except TimeoutError as exc:
                raise self._late("sent nothing", seconds) from exc
            yield item
            seconds = self._deadlines.silence


def _has_data(event: httpx_sse.ServerSentEvent) -> bool:
    return bool(event.data.strip())


async def _lines(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    rest = b""
    async for data in response.aiter_bytes():
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield line
    if rest:
        yield rest


async def _texts(response: httpx.Response) -> AsyncGenerator[str, None]:
    async for text in response.aiter_text():
        yield text
