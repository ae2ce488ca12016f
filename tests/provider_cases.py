"""Every provider that comes with the package, set up against the fakes, and how tests ask it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from ops.fakes import Fakes, Reply
from pipeline.providers import Asked, Delta, End, Provider, ProviderError

KNOWLEDGE = Path(__file__).parent / "data" / "knowledge"
KEY = "sk-secret-1234567890"
QUESTION = Asked("how many days do you keep the backups", lang="en", session_id="s1")

# What is set for each; the fakes' kind of app or format where there are several.
CASES: dict[str, dict[str, object]] = {
    "local": {"rag_provider": "local"},
    "openai": {"rag_provider": "openai"},
    "openai-responses": {"rag_provider": "openai", "openai_api": "responses"},
    "context": {"rag_provider": "context"},
    "dify-chatbot": {"rag_provider": "dify"},
    "dify-chatflow": {"rag_provider": "dify"},
    "dify-agent": {"rag_provider": "dify"},
    "dify-new-agent": {"rag_provider": "dify"},
    "custom-sse": {"rag_provider": "custom"},
    "custom-ndjson": {"rag_provider": "custom"},
    "custom-text": {"rag_provider": "custom"},
    "custom-json": {"rag_provider": "custom"},
    "serper": {"rag_provider": "serper"},
    "chain": {"rag_provider": "openai,local"},
}
KINDS = {name: name.partition("-")[2] for name in CASES if name.startswith(("dify", "custom"))}
STREAMS = [name for name in CASES if name not in ("local", "custom-json", "serper", "chain")]
UNCOUNTED = ("local", "serper")

Open = Callable[..., Awaitable[Provider]]


class Kinds(Fakes):
    """Fakes whose every reply is of the kind that the case is about."""

    kind = ""

    def reply_to(self, question: str, call: int) -> Reply:
        """As the fakes."""
        return replace(super().reply_to(question, call), kind=self.kind)


def addresses(url: str) -> dict[str, str]:
    """Every server of the settings at one address."""
    bases = {f"{name}_base_url": url for name in ("openai", "dify", "serper")}
    return {**bases, "context_base_url": f"{url}/v1/", "custom_rag_api_url": f"{url}/custom"}


async def told(provider: Provider, asked: Asked = QUESTION) -> tuple[list[str], End]:
    *pieces, end = [piece async for piece in provider.stream(asked)]
    assert isinstance(end, End)
    return [piece.text for piece in pieces if isinstance(piece, Delta)], end


async def failure(provider: Provider, asked: Asked = QUESTION) -> tuple[list[str], ProviderError]:
    """Pieces until the provider failed, and its error."""
    pieces: list[str] = []
    try:
        async for piece in provider.stream(asked):
            assert isinstance(piece, Delta)
            pieces.append(piece.text)
    except ProviderError as exc:
        return pieces, exc
    raise AssertionError("did not fail")
