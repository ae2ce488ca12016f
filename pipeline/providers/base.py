"""The seam between the answers stage and whoever knows: a question in, pieces of text out, then one end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier question of the session and what was answered."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Asked:
    """One question.

    `lang` is `zh`, `en` or None (unknown: judged by the text). `context` holds earlier turns of the session, oldest
    first. `options` come from the caller of a batch task; a provider takes what it knows.
    """

    text: str
    lang: str | None = None
    session_id: str = ""
    context: Sequence[Turn] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of the answer: plain text, never empty, never markup to be rendered as HTML."""

    text: str


@dataclass(frozen=True, slots=True)
class End:
    """The answer is whole.

    `sources` are what it rests on, each at least `n` and `title`; `usage` is what the provider counted. `found` is
    False when the provider looked and says in the text that it has no answer.
    """

    sources: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, Any] | None = None
    found: bool = True


@runtime_checkable
class Provider(Protocol):
    """Answers questions. A class that inherits from it needs a `name` and `stream`, the rest has defaults."""

    name: str

    def __init__(self, settings: Any) -> None:
        """Take what is needed of the settings; no connection is opened here."""

    def stream(self, asked: Asked) -> AsyncGenerator[Delta | End, None]:
        """Yield any number of `Delta`s and then exactly one `End`, or raise a `ProviderError`.

        Closing the generator (`aclose`, cancellation) ends the work on the provider's side at once. A stream is never
        begun again from inside: retrying is the caller's decision, because only he knows what was shown already.
        """
        ...

    async def health(self) -> bool:
        """Whether a question would probably be answered now; costs no paid call and never raises."""
        return True

    async def aclose(self) -> None:
        """Give back connections. The provider is not used after this."""
        return None
