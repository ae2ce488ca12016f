"""Chains, breaker, limits, budget and deadlines, with providers that do what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import pytest

from pipeline.providers import Asked, Delta, End, Item, Provider, ProviderError
from pipeline.providers.chain import Chain
from pipeline.providers.errors import LeftAlone, ProviderTimeout, RateLimited, RequestRefused, StreamCut
from pipeline.providers.guard import Guarded, Policy

pytestmark = pytest.mark.unit

CUT = StreamCut("it broke")


class Scripted(Provider):
    """The nth question gets the nth script: pieces, then the end or an error; the last one stays."""

    def __init__(self, name: str, *scripts: Sequence[str | Exception]) -> None:
        self.name, self.scripts, self.asked = name, list(scripts), 0
        self.gate: asyncio.Event | None = None
        self.running = self.most = 0

    async def stream(self, asked: Asked) -> AsyncGenerator[Item, None]:
        script = self.scripts[min(self.asked, len(self.scripts) - 1)]
        self.asked += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self.gate is not None:
                await self.gate.wait()
            for step in script:
                await asyncio.sleep(0)
                if isinstance(step, Exception):
                    raise step
                yield Delta(step)
            yield End()
        finally:
            self.running -= 1


class Clock:
    """Stands still until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def told(provider: Provider) -> tuple[str, str]:
    """The text and who said it; after an error the text so far and its kind."""
    text = ""
    try:
        async with aclosing(provider.stream(Asked("why"))) as items:
            async for item in items:
                if isinstance(item, End):
                    return text, item.provider
                text += item.text
    except ProviderError as exc:
        return text, type(exc).__name__
    raise AssertionError("no end")


def guarded(provider: Provider, clock: Clock | None = None, **policy: float) -> Guarded:
    return Guarded(provider, Policy(**policy), clock or Clock())  # type: ignore[arg-type]


async def test_the_next_provider_answers_where_one_fails_before_its_first_piece() -> None:
    chain = Chain([guarded(Scripted("a", [CUT])), guarded(Scripted("b", [RequestRefused("no")], ["yes"]))])
    assert await told(chain) == ("", "ProviderError")
    assert await told(chain) == ("yes", "b")


async def test_a_provider_that_breaks_the_rules_fails_like_any_other_and_tells_no_key() -> None:
    broken = Guarded(
        Scripted("a", [KeyError("k-secret")]), Policy(), Clock(), lambda text: text.replace("k-secret", "***")
    )
    assert await told(Chain([broken, guarded(Scripted("b", ["yes"]))])) == ("yes", "b")
    with pytest.raises(ProviderError, match="a failed as it should not: KeyError: '\\*\\*\\*'") as failed:
        [item async for item in broken.stream(Asked("why"))]
    assert not failed.value.retryable


async def test_after_the_first_piece_a_failure_is_not_hidden_by_the_next_provider() -> None:
    second = Scripted("b", ["yes"])
    assert await told(Chain([guarded(Scripted("a", ["so", CUT])), guarded(second)])) == ("so", "StreamCut")
    assert second.asked == 0


async def test_broken_streams_open_the_breaker_and_one_question_probes_it() -> None:
    clock, provider = Clock(), Scripted("a", ["so", CUT], ["so", CUT], ["fine"])
    guard = guarded(provider, clock, breaker=2)
    assert [await told(guard) for _ in range(3)] == [("so", "StreamCut"), ("so", "StreamCut"), ("", "LeftAlone")]
    assert (guard.state(), provider.asked) == ("open", 2)
    clock.now += 5
    provider.gate = asyncio.Event()
    probe = asyncio.create_task(told(guard))
    while provider.asked < 3:
        await asyncio.sleep(0)
    assert (guard.state(), await told(guard)) == ("half-open", ("", "LeftAlone"))
    provider.gate.set()
    assert await probe == ("fine", "a")
    assert guard.state() == "closed"


async def test_a_probe_that_nobody_waits_for_lets_another_one_try() -> None:
    clock, provider = Clock(), Scripted("a", [CUT], ["so", "fine"])
    guard = guarded(provider, clock, breaker=1)
    await told(guard)
    clock.now += 5
    async with aclosing(guard.stream(Asked("why"))) as stream:
        await anext(stream)
    assert await told(guard) == ("sofine", "a")


async def test_what_is_wrong_with_a_question_says_nothing_about_the_provider() -> None:
    guard = guarded(Scripted("a", [RequestRefused("too long", status=400)]), breaker=1)
    await told(guard)
    assert guard.state() == "closed"


async def test_retry_after_keeps_questions_away_for_as_long_as_it_says() -> None:
    clock = Clock()
    guard = guarded(Scripted("a", [RateLimited("slow down", retry_after=30.0)], ["yes"]), clock)
    await told(guard)
    clock.now += 29
    with pytest.raises(LeftAlone) as left:
        [item async for item in guard.stream(Asked("why"))]
    assert left.value.retry_after == pytest.approx(1.0)
    clock.now += 1
    assert await told(guard) == ("yes", "a")


async def test_no_more_answers_run_at_once_than_the_limit_and_all_get_their_turn() -> None:
    provider = Scripted("a", ["yes"])
    guard = guarded(provider, concurrency=2)
    assert await asyncio.gather(*(told(guard) for _ in range(7))) == [("yes", "a")] * 7
    assert provider.most == 2


async def test_a_share_of_a_limit_is_taken_at_once() -> None:
    provider = Scripted("a", ["yes"])
    guard = guarded(provider, concurrency=8)
    await guard.take(0.5)
    await asyncio.gather(*(told(guard) for _ in range(9)))
    assert provider.most == 4


async def test_a_first_piece_that_does_not_come_is_a_timeout() -> None:
    provider = Scripted("a", ["yes"])
    provider.gate = asyncio.Event()
    with pytest.raises(ProviderTimeout, match="a began no answer for 0.01 s"):
        [item async for item in guarded(provider, first_piece=0.01).stream(Asked("why"))]
    assert provider.running == 0


async def test_an_answer_that_goes_on_for_too_long_is_ended() -> None:
    clock = Clock()
    guard = guarded(Scripted("a", ["one ", "two ", "three "]), clock, total=10.0)
    said = guard.stream(Asked("why"))
    await anext(said)
    clock.now += 11
    with pytest.raises(ProviderTimeout, match="not done after 10 s"):
        await anext(said)


async def test_every_outcome_is_counted() -> None:
    guard = guarded(Scripted("a", ["yes"], [CUT], ["so", "so"]), breaker=1, tokens=1000)
    await told(guard)
    await told(guard)
    await told(guard)
    assert guard.outcomes == {"ok": 1, "failed": 1, "refused": 1}
