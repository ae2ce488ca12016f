"""A response on its way: events, lines or bare text, each waited for no longer than the deadlines allow.

Complete silence is httpx's read timeout; what arrives without saying anything, as pings do, is measured here by the
clock. A timer for each event would cost as much as all else that is done with it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

import httpx

from pipeline.providers.errors import ProviderTimeout


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
        self._due = time.monotonic() + deadlines.first
        self.media = response.headers.get("content-type", "").partition(";")[0].strip().lower()

    async def events(self) -> AsyncGenerator[bytes, None]:
        """The data of server-sent events that have any: pings carry none, and do not count as signs of life."""
        data: list[bytes] = []
        async with aclosing(self._lines()) as lines:
            async for line in lines:
                if line.startswith(b"data:"):
                    data.append(line[6:] if line.startswith(b"data: ") else line[5:])
                elif line:  # a comment, or a field that we have no use for
                    self._check()
                elif data:
                    yield self._lively(b"\n".join(data))
                    data = []
        if data:
            yield b"\n".join(data)

    async def lines(self) -> AsyncGenerator[bytes, None]:
        """Lines that are not blank, without their end. Only LF parts them: JSON may hold Unicode's other separators."""
        async with aclosing(self._lines()) as lines:
            async for line in lines:
                if line.strip():
                    yield self._lively(line)
                else:
                    self._check()

    async def texts(self) -> AsyncGenerator[str, None]:
        """Text as it comes."""
        async for text in self._response.aiter_text():
            yield text

    async def _lines(self) -> AsyncGenerator[bytes, None]:
        rest = b""
        async for data in self._response.aiter_bytes():
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                yield line.removesuffix(b"\r")
        if rest:
            yield rest

    def _lively(self, data: bytes) -> bytes:
        self._due = time.monotonic() + self._deadlines.silence
        return data

    def _check(self) -> None:
        if time.monotonic() > self._due:
            raise self._late("sent nothing but pings", self._deadlines.silence)
