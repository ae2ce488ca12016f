"""The answering of one question: begin, pieces, done; retries, the deadline and interruption."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

from agents.metrics import provider_retries
from agents.streaming import gathered
from agents.unit import Unit
from pipeline.answers import (
    RETRIES,
    Conversation,
    Waiting,
    attempt_number,
    backoff,
    withdrawn_sources,
    withdrawn_units,
)
from pipeline.delivery import ATTEMPTS_AN_EPOCH
from pipeline.providers.base import Asked, End, Replace, Turn
from pipeline.providers.errors import ProviderError
from topics.messages import Begin, Done, Piece

if TYPE_CHECKING:
    from agents.answers import Answers


class Answering:
    """Runs one question against the provider.

    The stream runs in a task of its own: a control interrupts that, a lost partition cancels the whole.
    """

    def __init__(self, stage: Answers, waiting: Waiting[Unit], conversation: Conversation[Unit]) -> None:
        self.stage, self.waiting, self.conversation = stage, waiting, conversation
        self.text = ""
        self.provider = ""  # who was asked
        self.retry = 0
        self.began = time.monotonic()
        self.first_piece: float | None = None
        self._stream: asyncio.Task[Done] | None = None

    def interrupt(self) -> None:
        """Stop asking; called for a cancel, an instant query or a stop."""
        if self._stream is not None:
            self._stream.cancel()

    async def run(self) -> None:
        """Answer, and write the end, unless the question was withdrawn meanwhile: then another record says so."""
        await self._begin()
        waiting = self.waiting
        self._stream = asyncio.create_task(self._ask())
        if not waiting.is_open:  # a control came while we began
            self._stream.cancel()
        try:
            await asyncio.wait({self._stream})
        finally:
            self._stream.cancel()
            await asyncio.wait({self._stream})
        if waiting.withdrawn_by is not None:
            return
        await self.stage.end(waiting, self._done(waiting.cancelled) if waiting.cancelled else self._stream.result())

    async def _begin(self) -> None:
        waiting, epoch = self.waiting, self.waiting.unit.assignment.epoch
        taken, waiting.supersedes = waiting.supersedes, []
        sources = [str(source) for source in withdrawn_sources(taken)]
        attempt = attempt_number(epoch, self.retry)
        begin = Begin(
            question=waiting.text,
            attempt=attempt,
            mode=waiting.mode,
            withdrawn=sources,
            redrive_of=waiting.unit.redrive_of,
            early=waiting.early,
            replaces=waiting.replaces,
        )
        await self.stage.say(waiting.unit, begin, release=withdrawn_units(taken))
        self.text = ""

    async def _begin_again(self) -> None:
        """What was shown is replaced by a new attempt."""
        self.retry += 1
        if self.retry >= ATTEMPTS_AN_EPOCH:
            raise ProviderError("the provider took its answer back too often")
        await self._begin()

    async def _ask(self) -> Done:
        deadline = self.stage.settings.handler_deadline
        try:
            async with asyncio.timeout(deadline):
                return await self._ask_until_answered()
        except TimeoutError:
            return self._done("error", error=f"the answer took longer than {deadline:g} s")
        except ProviderError as exc:
            return self._done("error", error=str(exc))

    async def _ask_until_answered(self) -> Done:
        self.stage.retries.earn()
        for retry in range(1, RETRIES + 1):
            try:
                return await self._ask_once()
            except ProviderError as exc:
                jitter = random.Random(f"{self.waiting.unit.session} {self.waiting.source} {retry}").random()
                wait = backoff(retry, exc.retry_after, jitter)
                if not exc.retryable or wait is None or not self.stage.retries.spend():
                    raise
                if self.text:
                    await self._begin_again()
                provider_retries.inc()
                await asyncio.sleep(wait)
        return await self._ask_once()

    async def _ask_once(self) -> Done:
        provider = self.stage.provider_of(self.waiting)
        self.provider = provider.name
        await self.stage.share_limits(provider, self.waiting.unit)
        stream = gathered(provider.stream(self._asked()))
        try:
            async for item in stream:
                if isinstance(item, End):
                    return self._done("ok", item)
                if isinstance(item, Replace):
                    await self._begin_again()
                if item.text:
                    await self._piece(item.text)
        finally:
            await stream.aclose()
        raise ProviderError("the provider ended without saying that the answer is whole", retryable=True)

    def _asked(self) -> Asked:
        waiting, conversation = self.waiting, self.conversation
        return Asked(
            waiting.text,
            waiting.lang,
            waiting.unit.session,
            context=[Turn(question, answer) for question, answer in conversation.turns],
            options=self.stage.options_of(waiting),
            threads=dict(conversation.threads),
        )

    async def _piece(self, text: str) -> None:
        if self.first_piece is None:
            self.first_piece = time.monotonic() - self.began
        view = self.conversation.view
        await self.stage.say(self.waiting.unit, Piece(attempt=view.attempt, index=view.upcoming, text=text))
        self.text += text

    def _done(self, why: str, end: End | None = None, error: str = "") -> Done:
        timings = {"total": round(time.monotonic() - self.began, 4)}
        if self.first_piece is not None:
            timings["first_piece"] = round(self.first_piece, 4)
        return Done(
            attempt=0,
            index=0,
            why=why,  # type: ignore[arg-type]
            text=self.text,
            question=self.waiting.text,
            mode=self.waiting.mode,
            error=error,
            found=end.found if end else True,
            provider=(end.provider if end else "") or self.provider,
            sources=end.sources if end else [],
            usage=end.usage if end else None,
            timings=timings,
            thread=end.thread if end else "",
        )
