"""Providers `openai` and `context`: a model behind OpenAI's chat completions or Responses, or what speaks the same."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from pipeline.providers.base import Asked, Delta, End, Provider
from pipeline.providers.chat import ChatAnswer
from pipeline.providers.errors import AnswerFailed, ProviderError, StreamCut
from pipeline.providers.extracts import extracts
from pipeline.providers.http import Names, Server, read_out, versioned_base
from pipeline.providers.index import KnowledgeIndex
from pipeline.providers.local import relevant, source
from pipeline.providers.prompts import INSTRUCTIONS, looked_for, messages
from pipeline.providers.reading import Deadlines
from pipeline.providers.responses import ResponsesAnswer
from pipeline.providers.usage import estimated, usage_of

PASSAGES_WIDTH = 3_000  # columns of knowledge that go with a question

# Options of a batch task that are for the pipeline and mean nothing to a model.
OURS = frozenset({"provider", "timeout", "max_concurrent", "priority", "use_search", "session_id", "mode"})
_PASSING = frozenset(
    {"server_error", "rate_limit_exceeded", "overloaded_error", "internal_error", "internal_server_error", "timeout"}
)


@dataclass(frozen=True)
class Model:
    """Which model is asked and how: `name` empty is the server's own choice, `defaults` are overridden by options."""

    name: str = ""
    instructions: str = INSTRUCTIONS
    defaults: dict[str, Any] = field(default_factory=dict)
    responses: bool = False


class OpenAIProvider(Provider):
    """Streams a model's answer; with an index of the knowledge, its passages go along and are the sources."""

    def __init__(
        self,
        name: str,
        setting: str,
        *,
        key: str,
        base_url: str,
        timeout: float,
        model: Model,
        index: KnowledgeIndex | None = None,
    ) -> None:
        """Prepare the connection pool; nothing is opened yet.

        Args:
            name: how the provider is called in answers and messages.
            setting: prefix of its environment names, for messages: `OPENAI`.
            key: bearer token.
            base_url: address of the server, with or without `/v1`.
            timeout: seconds until the first event, and between two.
            model: which model, with what instructions, by which of the two protocols.
            index: the knowledge index, if its passages shall go along.

        Raises:
            ConfigurationError: an address or a key that cannot be used, or no index in the folder.
        """
        self.name = name
        self._answer = ResponsesAnswer if model.responses else ChatAnswer
        names = Names.of(setting)
        self._server = Server(name, versioned_base(base_url, names.url, self._answer.path), key, names)
        self._model, self._timeout = model, timeout
        self._index = index

    async def stream(self, asked: Asked) -> AsyncGenerator[Delta | End, None]:
        """Yield the model's text as it comes, then sources and what the server says was used."""
        sources, answer, told = await self._sources(asked), self._answer(), list[str]()
        conversation = messages(asked, sources, self._model.instructions)
        wait = seconds(asked.options.get("timeout"), self._timeout)
        body = self._body(asked, conversation)
        async with self._server.events(answer.path, body, Deadlines(wait, wait)) as events:
            async for data in events:
                if answer.over(data):
                    await read_out(events)
                    break
                chunk = self._server.parsed(data)
                if error := answer.failure(chunk):
                    raise self._reported(error)
                if text := answer.take(chunk):
                    told.append(text)
                    yield Delta(text)
        self._check_end(answer.reason, bool(told))
        yield End(sources=sources or answer.sources, usage=usage_of(answer.usage) or _guess(conversation, told))

    async def health(self) -> bool:
        """Whether the server lists its models to this key, which costs nothing."""
        return await self._server.reachable("/models")

    async def aclose(self) -> None:
        """Close the connection pool."""
        await self._server.aclose()

    async def _sources(self, asked: Asked) -> list[dict[str, Any]]:
        """Passages that came with the question, or those of the index."""
        if asked.passages:
            return [dict(passage) for passage in asked.passages]
        if self._index is None:
            return []
        question = looked_for(asked)
        found = extracts(relevant(await self._index.find(question)), self._index.weights(question), PASSAGES_WIDTH)
        return [source(n, extract) for n, extract in enumerate(found, start=1)]

    def _body(self, asked: Asked, conversation: list[dict[str, str]]) -> dict[str, Any]:
        given = {name: value for name, value in asked.options.items() if name not in OURS}
        named = {"model": self._model.name} if self._model.name else {}
        return self._answer.body(conversation, {**named, **self._model.defaults, **given})

    def _reported(self, error: Any) -> ProviderError:
        fields = error if isinstance(error, dict) else {"message": error}
        passing = _PASSING & {str(fields.get("type")), str(fields.get("code"))}
        said = self._server.clean(str(fields.get("message") or "no reason given"))
        return self._server.failed(f"failed in the middle of the answer: {said}", AnswerFailed, retryable=bool(passing))

    def _check_end(self, reason: str | None, spoke: bool) -> None:
        if reason is None:
            raise self._server.failed("ended the stream before the answer was whole.", StreamCut)
        if not spoke and reason == "content_filter":
            raise self._server.failed("held the answer back (content filter).", AnswerFailed)
        if not spoke:
            raise self._server.failed(f"sent an empty answer ({reason}).", AnswerFailed, retryable=True)


def _guess(conversation: list[dict[str, str]], told: list[str]) -> dict[str, Any]:
    return estimated(" ".join(said["content"] for said in conversation), "".join(told))


def seconds(given: object, default: float) -> float:
    """A task's own timeout where it is a number above 0."""
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    return float(given) if is_number and given > 0 else default  # type: ignore[arg-type, operator]
