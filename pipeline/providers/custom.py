"""Provider `custom`: a server of one's own that speaks JSON, JSON lines, server-sent events or plain text."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

import orjson

from pipeline.providers.base import Asked, Delta, End, Provider
from pipeline.providers.errors import AnswerFailed, MalformedStream
from pipeline.providers.http import Names, Server, base_address
from pipeline.providers.openai import OURS, seconds
from pipeline.providers.paths import Paths
from pipeline.providers.reading import Deadlines, Reading
from pipeline.providers.usage import usage_of

NAMES = Names("CUSTOM_RAG_API_KEY", "CUSTOM_RAG_API_URL", "CUSTOM_RAG_TIMEOUT")


@dataclass(frozen=True)
class Form:
    """Where in its objects the server has what."""

    answer: Paths
    sources: Paths
    usage: Paths


class CustomProvider(Provider):
    """Posts `{question, …options}` and reads the answer by its content type."""

    name = "custom"

    def __init__(self, *, url: str, key: str, timeout: float, form: Form) -> None:
        """Prepare the connection pool; nothing is opened yet.

        Args:
            url: takes the questions; `GET {url}/health` tells whether it works.
            key: bearer token, may be empty.
            timeout: seconds until the first event, and between two.
            form: where its answers hold what.

        Raises:
            ConfigurationError: an address or a key that cannot be used.
        """
        self._server = Server(self.name, base_address(url, NAMES.url), key, NAMES)
        self._timeout, self._form = timeout, form

    async def stream(self, asked: Asked) -> AsyncGenerator[Delta | End, None]:
        """Yield the text as it comes, then sources and usage of whichever object had them last."""
        wait = seconds(asked.options.get("timeout"), self._timeout)
        answer = _Answer(self._form)
        asking = self._server.asking("", body(asked), Deadlines(wait, wait))
        async with asking as reading, aclosing(self._objects(reading)) as objects:
            async for value in objects:
                if error := value.get("error"):
                    raise self._reported(error)
                if text := answer.take(value):
                    yield Delta(text)
        if not answer.text:
            raise self._server.failed(
                "sent no text: CUSTOM_RAG_ANSWER_PATH says where to look for it.", AnswerFailed, retryable=True
            )
        yield End(sources=answer.sources, usage=usage_of(answer.usage))

    async def health(self) -> bool:
        """Whether `GET {url}/health` is answered well."""
        return await self._server.reachable("/health")

    async def aclose(self) -> None:
        """Close the connection pool."""
        await self._server.aclose()

    async def _objects(self, reading: Reading) -> AsyncGenerator[Mapping[str, Any], None]:
        """What is read, as objects; bare text stands in one as `{"text": …}`."""
        if reading.media == "text/event-stream":
            async with aclosing(reading.events()) as events:
                async for data in events:
                    if data.lstrip().startswith(b"{"):
                        yield self._server.parsed(data)
                    elif data.strip() not in (b"[DONE]", b""):
                        yield _Bare(text=data.decode(errors="replace"))
        elif "json" in reading.media:
            async with aclosing(self._lines(reading)) as objects:
                async for value in objects:
                    yield value
        elif reading.media == "text/plain":
            async with aclosing(reading.texts()) as texts:
                async for text in texts:
                    yield _Bare(text=text)
        else:
            media = self._server.clean(reading.media) or "no content type"
            raise self._server.failed(f"answered with {media}.", MalformedStream)

    async def _lines(self, reading: Reading) -> AsyncGenerator[Mapping[str, Any], None]:
        """An object a line, or one object over all lines, as pretty printers write it."""
        pending = b""
        async with aclosing(reading.lines()) as lines:
            async for line in lines:
                pending += line
                if reading.media != "application/json":
                    yield self._server.parsed(pending)
                    pending = b""
                else:
                    with suppress(orjson.JSONDecodeError):
                        orjson.loads(pending)
                        yield self._server.parsed(pending)
                        pending = b""
        if pending:
            yield self._server.parsed(pending)

    def _reported(self, error: object) -> Exception:
        fields = error if isinstance(error, dict) else {"message": error}
        said = self._server.clean(str(fields.get("message") or "no reason given"))
        return self._server.failed(f"failed in the middle of the answer: {said}", AnswerFailed, retryable=True)


def body(asked: Asked) -> dict[str, Any]:
    """The request: the question, its session, what was said before, and the options of a batch task as they are."""
    options = {name: value for name, value in asked.options.items() if name not in OURS}
    turns = [{"question": turn.question, "answer": turn.answer} for turn in asked.context]
    known = {"session_id": asked.session_id, "lang": asked.lang, "context": turns, "passages": list(asked.passages)}
    return {**options, "question": asked.text, **{name: value for name, value in known.items() if value}}


class _Bare(dict[str, Any]):
    """Text that came without an object around it."""


class _Answer:
    def __init__(self, form: Form) -> None:
        self._form = form
        self.text = ""
        self.sources: list[dict[str, Any]] = []
        self.usage: Any = None

    def take(self, value: Mapping[str, Any]) -> str:
        """The text of an object that has not been said yet."""
        if isinstance(value, _Bare):
            self.text += value["text"]
            return str(value["text"])
        found, usage = self._form.sources.of(value), self._form.usage.of(value)
        if isinstance(found, list):
            self.sources = [source(n, given) for n, given in enumerate(found, start=1)]
        self.usage = usage or self.usage
        text = self._form.answer.of(value)
        closes = found is not None or usage is not None
        if not isinstance(text, str) or (closes and text == self.text):  # the last object repeats the whole
            return ""
        self.text += text
        return text


def source(n: int, given: object) -> dict[str, Any]:
    """A citation out of whatever the server calls one.

    >>> source(1, "plans.md"), source(2, {"name": "Plans", "link": "https://example.org"})
    ({'n': 1, 'title': 'plans.md'}, {'name': 'Plans', 'n': 2, 'title': 'Plans', 'url': 'https://example.org'})
    """
    if not isinstance(given, dict):
        return {"n": n, "title": str(given)}
    known = {name: value for name, value in given.items() if name not in ("n", "link")}
    title = next((given[name] for name in ("title", "name", "document", "url", "link", "id") if given.get(name)), n)
    url = given.get("url") or given.get("link")
    return {**known, "n": n, "title": str(title), **({"url": url} if url else {})}
