"""What answers cost: prices of the settings, by provider and model, in whichever currency they are given in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pipeline.errors import ConfigurationError

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """Money for a million tokens of the prompt, for a million of the answer, and for a question whatever its length."""

    prompt: float = 0.0
    completion: float = 0.0
    question: float = 0.0

    def of(self, usage: Mapping[str, Any]) -> float:
        """What an answer with this usage costs.

        >>> Price(2.5, 10).of({"prompt_tokens": 2000, "completion_tokens": 100, "total_tokens": 2100})
        0.006
        >>> Price(question=0.001).of({"total_tokens": 0})
        0.001
        """
        tokens = float(usage.get("prompt_tokens", 0)), float(usage.get("completion_tokens", 0))
        return round(self.question + (tokens[0] * self.prompt + tokens[1] * self.completion) / MILLION, 9)


class Prices:
    """The prices of one provider: its own, and those of its models by name."""

    def __init__(self, own: Price | None = None, models: Mapping[str, Price] | None = None) -> None:
        self._own, self._models = own, models or {}

    def __bool__(self) -> bool:
        """Whether there are any."""
        return self._own is not None or bool(self._models)

    def of(self, model: str) -> Price | None:
        """The price of a model; of one that is not named the provider's own, else the dearest, so that none is free."""
        if model in self._models:
            return self._models[model]
        return self._own or max(self._models.values(), key=lambda price: price.prompt + price.completion, default=None)

    @classmethod
    def read(cls, text: str) -> dict[str, Self]:
        """Prices by provider, out of PROVIDER_PRICES.

        >>> found = Prices.read("openai=0.15/0.6, openai:gpt-4o=2.5/10, serper=0.001")
        >>> found["openai"].of("gpt-4o"), found["serper"].of("")
        (Price(prompt=2.5, completion=10.0, question=0.0), Price(prompt=0.0, completion=0.0, question=0.001))

        Raises:
            ConfigurationError: it is not of this form.
        """
        named: dict[str, dict[str, Price]] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, price = part.rpartition("=")
            provider, _, model = name.strip().partition(":")
            if not provider:
                raise _unreadable(part)
            named.setdefault(provider.lower(), {})[model] = _price(price, part)
        return {provider: cls(models.pop("", None), models) for provider, models in named.items()}


def _price(text: str, part: str) -> Price:
    try:
        numbers = [float(number) for number in text.split("/")]
    except ValueError as exc:
        raise _unreadable(part) from exc
    if not all(0 <= number < MILLION for number in numbers) or len(numbers) > 2:
        raise _unreadable(part)
    return Price(*numbers) if len(numbers) == 2 else Price(question=numbers[0])


def _unreadable(part: str) -> ConfigurationError:
    return ConfigurationError(
        f"PROVIDER_PRICES: {part!r} is no price: it takes PROVIDER=INPUT/OUTPUT or PROVIDER:MODEL=INPUT/OUTPUT for a"
        " million tokens, or PROVIDER=PRICE for a question."
    )
