"""Gathers the small pieces of a provider's stream: the first at once, then what came within an interval."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from pipeline.providers.base import Delta, Item, Replace

COALESCE = 0.03  # seconds: a reader sees no difference, and the topic gets a tenth of the records


async def gathered(stream: AsyncGenerator[Item, None], interval: float = COALESCE) -> AsyncGenerator[Item, None]:
    """The stream with its pieces joined; it is closed when this is, also in the middle. The last item is the end."""
    loop, text, due = asyncio.get_running_loop(), "", 0.0
    upcoming = asyncio.ensure_future(anext(stream))
    try:
        while True:
            await asyncio.wait({upcoming}, timeout=max(0.0, due - loop.time()) if text else None)
            if not upcoming.done() or (text and loop.time() >= due):
                yield Delta(text)
                text, due = "", loop.time() + interval
                continue
            try:
                item = upcoming.result()
            except StopAsyncIteration:
                item = None
            if isinstance(item, Delta):
                text += item.text
            else:
                if text:
                    yield Delta(text)
                    text = ""
                if item is not None:
                    yield item
                if not isinstance(item, Replace):
                    return
            upcoming = asyncio.ensure_future(anext(stream))
    finally:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)
        await stream.aclose()
