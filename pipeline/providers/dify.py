"""Provider `dify`: chat apps, chatflows and agents of Dify, with the conversation that it keeps of each session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from pipeline.providers.base import Asked, End, Item, Provider
from pipeline.providers.dify_events import DifyAnswer
from pipeline.providers.errors import AnswerFailed, ProviderError, RequestRefused, StreamCut
from pipeline.providers.http import Names, Server, read_out, versioned_base
from pipeline.providers.openai import seconds
from pipeline.providers.prompts import passages_text
from pipeline.providers.reading import Deadlines
from pipeline.providers.usage import usage_of

# Codes of an `error` in the stream after which the same question may work.
_PASSING = frozenset({"internal_server_error", "too_many_requests", "completion_request_error"})
_TAKEN = ("inputs", "files", "workflow_id")  # options of a batch task that Dify knows


class DifyProvider(Provider):
    """Streams the answer of one app; its key says which."""

    name = "dify"

    def __init__(self, *, key: str, base_url: str, timeout: float, user: str = "", conversation: str = "") -> None:
        """Prepare the connection pool; nothing is opened yet.

        Args:
            key: of the app, `app-…`.
            base_url: address of the API, with or without `/v1`.
            timeout: seconds until the first event, and between two. Pings (every 10 s) are none.
            user: in whose name all sessions ask; empty: each session is a user of its own.
            conversation: that a session goes on with when it has none yet; it has to be `user`'s.

        Raises:
            ConfigurationError: an address or a key that cannot be used.
        """
        names = Names.of("DIFY")
        self._server = Server(self.name, versioned_base(base_url, names.url, "/chat-messages"), key, names)
        self._timeout, self._user, self._conversation = timeout, user, conversation
        self._stops: set[asyncio.Task[None]] = set()

    async def stream(self, asked: Asked) -> AsyncGenerator[Item, None]:
        """Yield the app's text as it comes, then its sources, usage and the conversation."""
        thread = asked.threads.get(self.name) or self._conversation
        try:
            async with aclosing(self._ask(asked, thread)) as items:
                async for item in items:
                    yield item
        except RequestRefused as exc:
            if exc.status != 404 or not thread:
                raise
            async with aclosing(self._ask(asked, "")) as items:  # the conversation was deleted there
                async for item in items:
                    yield item

    async def health(self) -> bool:
        """Whether the app shows its parameters to this key, which costs nothing."""
        return await self._server.reachable("/parameters")

    async def aclose(self) -> None:
        """Let the last stop calls out, then close the connection pool."""
        await asyncio.gather(*self._stops)
        await self._server.aclose()

    async def _ask(self, asked: Asked, thread: str) -> AsyncGenerator[Item, None]:
        wait = seconds(asked.options.get("timeout"), self._timeout)
        answer, body = DifyAnswer(), self._body(asked, thread)
        try:
            async with self._server.events("/chat-messages", body, Deadlines(wait, wait)) as events:
                async for data in events:
                    if (item := answer.take(self._server.parsed(data))) is not None:
                        yield item
                    if answer.failure is not None:
                        raise self._reported(answer.failure)
                    if answer.ended and not answer.is_workflow:
                        await read_out(events)
                        break
        finally:
            if answer.task and not answer.over:
                self._stop(answer.task, body["user"])
        self._check_end(answer)
        yield End(sources=answer.sources, usage=usage_of(answer.usage), thread=answer.thread)

    def _body(self, asked: Asked, thread: str) -> dict[str, Any]:
        given = {name: asked.options[name] for name in _TAKEN if name in asked.options}
        user = self._user or asked.session_id or "realtime-rag"
        asks = {"query": asked.text, "user": user, "response_mode": "streaming", "auto_generate_name": False}
        found = {"search_results": passages_text(asked.passages)} if asked.passages else {}
        return {**given, "inputs": {**found, **given.get("inputs", {})}, **asks, "conversation_id": thread}

    def _stop(self, task: str, user: str) -> None:
        """Tell Dify that nobody listens any more: it would go on, and be paid for, without a connection."""
        stopping = asyncio.create_task(self._server.tell(f"/chat-messages/{task}/stop", {"user": user}))
        self._stops.add(stopping)
        stopping.add_done_callback(self._stops.discard)

    def _reported(self, failure: Mapping[str, Any]) -> ProviderError:
        said = self._server.clean(str(failure.get("message") or "no reason given"))
        passing = str(failure.get("code")) in _PASSING
        return self._server.failed(f"failed in the middle of the answer: {said}", AnswerFailed, retryable=passing)

    def _check_end(self, answer: DifyAnswer) -> None:
        if answer.broken is not None:
            raise self._reported(answer.broken)
        if not answer.ended:
            raise self._server.failed("ended the stream before the answer was whole.", StreamCut)
        if not answer.text:
            raise self._server.failed("sent an empty answer.", AnswerFailed, retryable=True)
