"""What a provider used and cost, and what it may use in an hour: every answer is settled here, broken ones too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.providers.base import Asked
from pipeline.providers.errors import BudgetSpent
from pipeline.providers.limits import Budget
from pipeline.providers.prices import Prices
from pipeline.providers.usage import NOTHING, completed, estimated


class Account:
    """One provider's.

    Attributes:
        tokens: budget of tokens, `PROVIDER_TOKENS_PER_HOUR`.
        cost: budget of money, `PROVIDER_COST_PER_HOUR`.
    """

    def __init__(
        self,
        name: str,
        clock: Callable[[], float],
        *,
        tokens: float = 0,
        cost: float = 0.0,
        counts: bool = True,
        prices: Prices | None = None,
        model: str = "",
    ) -> None:
        """Begin with nothing spent.

        Args:
            name: of the provider, for messages.
            clock: seconds, growing.
            tokens: of prompts and answers an hour; 0: no limit.
            cost: money an hour; 0: no limit.
            counts: whether a model is asked at all; one that is not has used no tokens.
            prices: of its models.
            model: that is asked, unless the options of a question name another.
        """
        self._name, self._clock, self._counts = name, clock, counts
        self._prices, self._model = prices or Prices(), model
        self.tokens, self.cost = Budget(tokens), Budget(cost)

    def take(self, share: float) -> None:
        """Have another share of the budgets, those of the whole installation, from now on."""
        self.tokens.share = self.cost.share = share

    def spent(self) -> bool:
        """Whether a budget of this hour is used up."""
        return any(budget.wait(self._clock()) for budget in (self.tokens, self.cost))

    def check(self) -> None:
        """Let a question through.

        Raises:
            BudgetSpent: not now; the message says which budget, of which setting.
        """
        budgets = {"PROVIDER_TOKENS_PER_HOUR": self.tokens, "PROVIDER_COST_PER_HOUR": self.cost}
        for setting, budget in budgets.items():
            if wait := budget.wait(self._clock()):
                what = "tokens" if budget is self.tokens else "money"
                raise BudgetSpent(
                    f"{self._name} has used its {what} of this hour ({budget.limit:g}, this lane's part of {setting});"
                    f" there is some again in {wait / 60:.0f} min.",
                    retry_after=wait,
                )

    def settle(self, asked: Asked, text: str, usage: Mapping[str, Any] | None) -> dict[str, Any]:
        """Spend what an answer used, and say it in full: what the provider did not count is estimated, and priced."""
        told = " ".join([asked.text, *(f"{turn.question} {turn.answer}" for turn in asked.context)])
        if usage is None:
            used = estimated(told, text) if self._counts else {**NOTHING}
        else:
            used = completed(usage, told, text)
        if "price" not in used and (price := self._prices.of(str(asked.options.get("model") or self._model))):
            used["price"] = price.of(used)
        self.tokens.spend(used["total_tokens"], self._clock())
        self.cost.spend(used.get("price", 0.0), self._clock())
        return used
