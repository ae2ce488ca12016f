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
    first. `threads` has the conversation that each provider keeps of the session itself, by the provider's name.
    `passages` are sources (as in `End`, with their `text`) that were found for it elsewhere, on the web for one.
    `options` come from the caller of a batch task; a provider takes what it knows.
    """

    text: str
    lang: str | None = None
    session_id: str = ""
    context: Sequence[Turn] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    threads: Mapping[str, str] = field(default_factory=dict)
    passages: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of the answer: plain text, never empty, never markup to be rendered as HTML."""

    text: str


@dataclass(frozen=True, slots=True)
class Replace:
    """All that was said so far is void, this stands in its place; may be empty."""

    text: str


@dataclass(frozen=True, slots=True)
class End:
    """The answer is whole.

    `sources` are what it rests on, each at least `n` and `title`, and `url`, `file`, `lines`, `heading`, `text`,
    `score` where they are known; `usage` has `prompt_tokens`, `completion_tokens` and `total_tokens`, and `price` with
    `currency` where the provider says them, `estimated` where it does not count. `found` is False when the provider
    looked and says in the text that it has no answer. `provider` is who answered, where that is not the one asked.
    `thread` names the conversation that the provider keeps; the session's next question brings it back in `threads`.
    """

    sources: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, Any] | None = None
    found: bool = True
    provider: str = ""
    thread: str = ""


Item = Delta | Replace | End


@runtime_checkable
class Provider(Protocol):
    """Answers questions. A class that inherits from it needs a `name` and `stream`, the rest has defaults."""

    name: str

    def __init__(self, settings: Any) -> None:
        """Take what is needed of the settings; no connection is opened here."""

    def stream(self, asked: Asked) -> AsyncGenerator[Item, None]:
        """Yield any number of `Delta`s (and `Replace`s) and then exactly one `End`, or raise a `ProviderError`.

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
