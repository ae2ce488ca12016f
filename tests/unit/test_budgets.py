"""What answers use and cost an hour, and what happens when that is used up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from pipeline.errors import ConfigurationError
from pipeline.providers import Asked, Delta, End, Item, Provider
from pipeline.providers.catalog import build_provider
from pipeline.providers.chain import Chain
from pipeline.providers.errors import BudgetSpent, StreamCut
from pipeline.providers.guard import Guarded, Policy
from pipeline.providers.prices import Price, Prices
from pipeline.settings import Settings

pytestmark = pytest.mark.unit

PRICES = Prices(Price(1.0, 10.0), {"big": Price(100.0, 1000.0)})
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}


class Counting(Provider):
    """Says four words and what they used, or breaks after them."""

    def __init__(self, name: str, usage: dict[str, Any] | None = None, error: Exception | None = None) -> None:
        self.name, self.usage, self.error = name, usage, error

    async def stream(self, asked: Asked) -> AsyncGenerator[Item, None]:
        yield Delta("some four words here")
        if self.error:
            raise self.error
        yield End(usage=self.usage)


class Clock:
    """Stands still until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def guarded(provider: Provider, clock: Clock | None = None, **policy: Any) -> Guarded:
    return Guarded(provider, Policy(**policy), clock or Clock())


async def end_of(provider: Provider, **options: Any) -> End:
    *_, end = [item async for item in provider.stream(Asked("why", options=options))]
    assert isinstance(end, End)
    return end


async def test_spent_tokens_are_said_and_come_back_with_the_hour() -> None:
    clock = Clock()
    guard = guarded(Counting("a"), clock, tokens=5)
    await end_of(guard)
    with pytest.raises(BudgetSpent, match=r"a has used its tokens of this hour \(5, .*again in 60 min") as spent:
        await end_of(guard)
    assert (spent.value.retryable, spent.value.retry_after, guard.state()) == (False, 3600.0, "spent")
    clock.now += 3600
    await end_of(guard)


async def test_an_answer_is_priced_by_its_model_and_spent_money_is_said() -> None:
    guard = guarded(Counting("a", USAGE), cost=0.004, prices=PRICES)
    assert (await end_of(guard)).usage == {**USAGE, "price": 0.002}
    assert (await end_of(guard, model="big")).usage == {**USAGE, "price": 0.2}
    with pytest.raises(BudgetSpent, match=r"money of this hour \(0.004, this lane's part of PROVIDER_COST_PER_HOUR\)"):
        await end_of(guard)
    assert guard.state() == "spent"
    assert guard.account.cost.spent == pytest.approx(0.202)


async def test_what_the_provider_says_of_its_price_goes_before_ours() -> None:
    usage = {**USAGE, "price": 0.5, "currency": "EUR"}
    guard = guarded(Counting("a", usage), cost=0.4, prices=PRICES)
    assert (await end_of(guard)).usage == usage
    assert guard.state() == "spent"


async def test_a_search_costs_by_the_question_and_uses_no_tokens() -> None:
    guard = guarded(Counting("a"), counts=False, prices=Prices(Price(question=0.001)))
    assert (await end_of(guard)).usage == {
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "total_tokens": 0,
        "price": 0.001,
    }


async def test_a_broken_answer_is_paid_for_too() -> None:
    guard = guarded(Counting("a", error=StreamCut("it broke")), cost=1.0, prices=PRICES)
    with pytest.raises(StreamCut):
        await end_of(guard)
    assert guard.account.tokens.spent == 6  # a word asked, four said
    assert guard.account.cost.spent == pytest.approx((1 * 1.0 + 5 * 10.0) / 1e6)


async def test_counts_that_are_missing_are_filled_in() -> None:
    end = await end_of(guarded(Counting("a", {"total_tokens": 50})))
    assert end.usage == {"prompt_tokens": 45, "completion_tokens": 5, "total_tokens": 50, "estimated": True}


async def test_who_waits_for_a_turn_is_not_answered_when_the_budget_is_spent_meanwhile() -> None:
    guard = guarded(Counting("a", USAGE), tokens=1500, concurrency=1)
    told = await asyncio.gather(*(end_of(guard) for _ in range(6)), return_exceptions=True)
    assert [type(each).__name__ for each in told] == ["End", "End", *["BudgetSpent"] * 4]


async def test_a_share_of_the_money_is_taken_at_once() -> None:
    guard = guarded(Counting("a", USAGE), cost=0.003, prices=PRICES)
    await guard.take(0.5)
    await end_of(guard)
    assert guard.state() == "spent"


async def test_in_a_chain_the_next_one_answers_when_money_is_spent() -> None:
    chain = Chain([guarded(Counting("a", USAGE), cost=0.001, prices=PRICES), guarded(Counting("b", USAGE))])
    assert [(await end_of(chain)).provider for _ in range(2)] == ["a", "b"]


@pytest.mark.parametrize("text", ["openai", "=1/2", "openai=cheap", "openai=-1/2", "openai=1/2/3", "openai=nan/1"])
def test_a_price_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="PROVIDER_PRICES"):
        Prices.read(text)


def test_a_model_without_a_price_is_never_free() -> None:
    prices = Prices.read("openai:small=0.1/0.2,openai:meta/llama:8b=5/9")["openai"]
    assert (prices.of("meta/llama:8b"), prices.of("new")) == (Price(5, 9), Price(5, 9))


@pytest.mark.parametrize(("name", "form"), [("openai", "openai=INPUT/OUTPUT"), ("serper", "serper=PRICE")])
def test_a_budget_of_money_wants_the_price_of_who_does_not_say_it(name: str, form: str) -> None:
    keys: Any = {"openai_api_key": "k", "serper_api_key": "k"}
    settings = Settings(rag_provider=name, provider_cost_per_hour=1.0, **keys)
    with pytest.raises(ConfigurationError, match=f"PROVIDER_COST_PER_HOUR needs a price of {name}.*{form}"):
        build_provider(settings)


def test_each_lane_has_its_part_of_the_money() -> None:
    keys: Any = {"rag_provider": "openai", "openai_api_key": "k", "provider_prices": "openai=1/2"}
    settings = Settings(provider_cost_per_hour=10.0, provider_live_share=0.7, **keys)
    [guard] = build_provider(settings).guards
    assert guard.account.cost.limit == pytest.approx(7.0)
