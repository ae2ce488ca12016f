"""The small pieces of a provider's stream in, fewer and larger ones out; the first at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from agents.streaming import gathered
from pipeline.providers.base import Delta, End, Item, Replace
from pipeline.providers.errors import ProviderError

pytestmark = pytest.mark.unit

LONG = 60.0  # seconds: an interval that does not pass within a test
END = End(sources=[{"n": 1, "title": "prices"}])


class Provider:
    """Gives what a test puts in; says when it was closed."""

    def __init__(self) -> None:
        self.items: asyncio.Queue[Item | Exception | None] = asyncio.Queue()
        self.closed = asyncio.Event()

    def say(self, *items: Item | str | Exception | None) -> None:
        for item in items:
            self.items.put_nowait(Delta(item) if isinstance(item, str) else item)

    async def stream(self) -> AsyncGenerator[Item, None]:
        try:
            while (item := await self.items.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.closed.set()


@pytest.fixture
def provider() -> Provider:
    return Provider()


async def test_the_first_piece_comes_at_once(provider: Provider) -> None:
    stream = gathered(provider.stream(), interval=LONG)
    provider.say("It ")
    async with asyncio.timeout(5):
        assert await anext(stream) == Delta("It ")
    await stream.aclose()


async def test_what_comes_within_the_interval_is_one_piece(provider: Provider) -> None:
    stream = gathered(provider.stream(), interval=0.05)
    provider.say("It ")
    assert await anext(stream) == Delta("It ")
    provider.say("costs ", "five ", "euros.")
    began = asyncio.get_running_loop().time()
    assert await anext(stream) == Delta("costs five euros.")
    assert asyncio.get_running_loop().time() - began < 1
    await stream.aclose()


async def test_a_piece_after_a_pause_is_not_held_back(provider: Provider) -> None:
    stream = gathered(provider.stream(), interval=0.01)
    provider.say("It ")
    await anext(stream)
    upcoming = asyncio.ensure_future(anext(stream))
    await asyncio.wait({upcoming}, timeout=0.02)  # longer than the interval, nothing said
    provider.say("costs")
    async with asyncio.timeout(5):
        assert await upcoming == Delta("costs")
    await stream.aclose()


async def test_a_stream_that_never_pauses_still_gives_pieces() -> None:
    async def endless() -> AsyncGenerator[Item, None]:
        while True:
            yield Delta("a")
            await asyncio.sleep(0)

    stream = gathered(endless(), interval=0.01)
    async with asyncio.timeout(5):
        pieces = [await anext(stream) for _ in range(3)]
    assert all(isinstance(piece, Delta) and piece.text for piece in pieces)
    await stream.aclose()


async def test_no_text_is_lost_or_turned_around(provider: Provider) -> None:
    letters = "the quick brown fox 跳过 the lazy dog"
    provider.say(*letters, END)
    items = [item async for item in gathered(provider.stream(), interval=0.001)]
    assert "".join(item.text for item in items[:-1] if isinstance(item, Delta)) == letters
    assert items[-1] is END


async def test_the_end_does_not_wait_for_the_interval(provider: Provider) -> None:
    provider.say("It ", "costs", END)
    async with asyncio.timeout(5):
        items = [item async for item in gathered(provider.stream(), interval=LONG)]
    assert items[-1] is END
    assert provider.closed.is_set()


async def test_an_answer_without_text_is_its_end_alone(provider: Provider) -> None:
    provider.say(END)
    assert [item async for item in gathered(provider.stream())] == [END]


async def test_a_stream_that_ends_without_an_end_just_ends(provider: Provider) -> None:
    provider.say("It ", "costs", None)
    items = [item async for item in gathered(provider.stream(), interval=0.001)]
    assert "".join(item.text for item in items if isinstance(item, Delta)) == "It costs"
    assert not any(isinstance(item, End) for item in items)


async def test_an_error_of_the_provider_comes_through(provider: Provider) -> None:
    provider.say(ProviderError("away", retryable=True))
    with pytest.raises(ProviderError, match="away"):
        await anext(gathered(provider.stream()))
    assert provider.closed.is_set()


async def test_closing_in_the_middle_closes_the_provider(provider: Provider) -> None:
    stream = gathered(provider.stream())
    provider.say("It ")
    await anext(stream)
    await stream.aclose()
    assert provider.closed.is_set()


async def test_cancelling_the_reader_closes_the_provider(provider: Provider) -> None:
    async def read() -> list[Item]:
        stream = gathered(provider.stream())
        try:
            return [item async for item in stream]
        finally:
            await stream.aclose()

    reader = asyncio.create_task(read())
    provider.say("It ")
    await asyncio.wait({reader}, timeout=0.01)
    reader.cancel()
    await asyncio.wait({reader})
    assert reader.cancelled()
    assert provider.closed.is_set()


async def test_what_replaces_the_text_comes_behind_the_text_that_it_replaces() -> None:
    provider = Provider()
    provider.say("one ", "two", Replace("three"), " four", END)
    items = [item async for item in gathered(provider.stream(), interval=LONG)]
    at = items.index(Replace("three"))
    assert joined(items[:at]) == "one two"
    assert joined(items[at + 1 :]) == " four"
    assert items[-1] == END


def joined(items: list[Item]) -> str:
    return "".join(item.text for item in items if isinstance(item, Delta))
