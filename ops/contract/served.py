"""What providers keep that stream from a server: asked on a fake of it, which does what a case says."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import replace

from ops.contract.subjects import KEY, Stand, Unkept, keep
from ops.fakes import Reply
from ops.ports import free_port
from pipeline.providers import errors

TEXT = 'Vierzehn Tage — 十四天, "so"\nit is.'


async def gives_the_text_word_for_word(stand: Stand) -> None:
    """Whatever characters; what a model thinks is no part of it."""
    stand.fakes.replies = {"*": [Reply(text=TEXT, reasoning="Hm, backups.")]}
    pieces, _ = await stand.told(await stand.open())
    keep("".join(pieces) == TEXT, f"it said {''.join(pieces)!r}")


async def understands_a_server_that_leaves_fields_out(stand: Stand) -> None:
    """Servers that speak the same leave out what a client can do without."""
    stand.fakes.replies = {"*": [Reply(text="all the same", bare=True)]}
    pieces, end = await stand.told(await stand.open())
    keep("".join(pieces) == "all the same", f"it said {''.join(pieces)!r}")
    keep(end.usage and end.usage["total_tokens"] > 0, "no usage, not even an estimate")


async def keeps_status_and_retry_after(stand: Stand) -> None:
    """Both go into the error."""
    stand.fakes.replies = {"*": [Reply(status=429, headers={"retry-after": "7"})]}
    _, error = await stand.failure(await stand.open())
    keep((error.retry_after, error.status) == (7.0, 429), f"it has {error.retry_after} s and status {error.status}")


async def says_that_nobody_listens(stand: Stand) -> None:
    """As an error that names the setting of the address, and by its health."""
    provider = await stand.open(replace(stand.place, url=f"http://127.0.0.1:{free_port()}"))
    _, error = await stand.failure(provider)
    keep(isinstance(error, errors.ConnectFailed), f"it is a {type(error).__name__}, no ConnectFailed")
    keep("_URL" in str(error), f"no setting is named: {error}")
    keep(await provider.health() is False, "health() is not False")


async def closes_the_connection_when_it_is_closed(stand: Stand) -> None:
    """At once, so that nobody goes on to be paid for."""
    stand.fakes.replies = {"*": [Reply(text="word " * 500, delay=0.02)]}
    async with aclosing((await stand.open()).stream(stand.subject.question)) as items:
        await anext(items)
    closed = time.monotonic()
    await _left(stand)
    keep(time.monotonic() - closed < 1, "the server noticed more than a second later")
    keep(stand.fakes.requests[0].sent < 50, "the server had said most of it by then")


async def closes_the_connection_when_its_reader_is_cancelled(stand: Stand) -> None:
    """Also in the middle of a silence."""
    stand.fakes.replies = {"*": [Reply(silence_after=0)]}
    reading = asyncio.create_task(stand.told(await stand.open()))
    await stand.fakes.until(lambda requests: len(requests) == 1)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    keep(reading.cancelled(), "it swallowed the cancellation")
    await _left(stand)


async def _left(stand: Stand) -> None:
    try:
        await stand.fakes.until(lambda requests: requests[0].outcome == "disconnected")
    except TimeoutError as exc:
        raise Unkept("the server never saw the connection close") from exc


async def asks_anew_when_it_is_asked_again(stand: Stand) -> None:
    """Nothing of a broken answer stays behind."""
    stand.fakes.replies = {"*": [Reply(text="a long first answer", cut_after=2), Reply(text="short")]}
    provider = await stand.open()
    pieces, _ = await stand.failure(provider)
    keep(pieces == ["a ", "long "], f"before the cut it said {pieces}")
    keep((await stand.told(provider))[0] == ["short"], "the second answer is not the server's second one")
    keep([request.call for request in stand.fakes.requests] == [1, 2], "it asked more often than it was asked")


async def tells_no_key_in_a_refusal(stand: Stand) -> None:
    """Some servers repeat the key."""
    for status, message in ((401, f"Incorrect API key provided: {KEY}"), (400, f"bad header Bearer {KEY.upper()}")):
        await _discreet(stand, Reply(status=status, message=message))


async def tells_no_key_from_inside_the_stream(stand: Stand) -> None:
    """Or repeat it later."""
    await _discreet(stand, Reply(error_after=0, error={"message": f"key {KEY} is over its quota"}))


async def _discreet(stand: Stand, reply: Reply) -> None:
    stand.fakes.replies = {"*": [reply]}
    _, error = await stand.failure(await stand.open())
    said = f"{error} {error!r} {vars(error)}".lower()
    keep(KEY.lower() not in said, "its key is in an error")


CASES = (
    gives_the_text_word_for_word,
    understands_a_server_that_leaves_fields_out,
    keeps_status_and_retry_after,
    says_that_nobody_listens,
    closes_the_connection_when_it_is_closed,
    closes_the_connection_when_its_reader_is_cancelled,
    asks_anew_when_it_is_asked_again,
    tells_no_key_in_a_refusal,
    tells_no_key_from_inside_the_stream,
)
