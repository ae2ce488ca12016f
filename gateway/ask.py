"""One question over HTTP: asked through the same topics as a spoken one, its answer streamed back."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from opentelemetry.context import Context
from pydantic import BaseModel, Field

from gateway.auth import check_origin, principal_of
from gateway.bus import Bus
from gateway.frames import MAX_SESSION, MAX_TEXT, error, is_session_id
from gateway.problems import Problem
from gateway.publisher import ACK_WITHIN
from gateway.sessions import Sessions
from gateway.updates import Update
from pipeline import tracing
from pipeline.delivery import Message, View
from pipeline.errors import BrokerError
from topics.messages import Ask
from topics.sources import Source, public_id

WAITING = 4096  # messages of a session that a slow reader may leave waiting
_STATUS = {"RAG_ERROR": 502, "QUESTION_EXPIRED": 504, "SERVICE_UNAVAILABLE": 503, "TASK_ENDED": 409}


class Question(BaseModel):
    """What is asked, in which session (by default one of its own) and language."""

    question: str = Field(max_length=MAX_TEXT)
    session_id: str | None = Field(None, min_length=1, max_length=MAX_SESSION)
    lang: Literal["zh", "en", "auto"] | None = None


class Listener:
    """A viewer who waits for one question's answer."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.partition = self.position = self.since = 0
        self.view = View()
        self.messages: asyncio.Queue[Message] = asyncio.Queue()

    def deliver(self, update: Update) -> None:
        """Keep what comes; a reader who takes nothing any more is given nothing any more."""
        if self.messages.qsize() < WAITING:
            for message in update.messages:
                self.messages.put_nowait(message)

    def expire(self, oldest: str) -> None:
        """A part of the log is gone: the end, if it was in there, will not come."""
        self.messages.put_nowait(error(self.session, "SERVER_ERROR", "the log lost a part of this session"))

    async def room(self) -> None:
        """There is no history to wait for."""

    async def answer(self, question_id: str, within: float) -> AsyncIterator[Message]:
        """The messages of one question up to its end, however it ends."""
        try:
            async with asyncio.timeout(within):
                while True:
                    message = await self.messages.get()
                    if question_id in (message.get("question_id"), *message.get("question_ids", ())):
                        yield message
                    if ending := _ending(message, question_id):
                        if ending != "idle":
                            yield error(self.session, ending, "the question was withdrawn or lost")
                        return
        except TimeoutError:
            yield error(self.session, "SERVICE_UNAVAILABLE", f"no answer within {within:.0f} s")


def _ending(message: Message, question_id: str) -> str | None:
    """How a message ends a question: `idle` as usual, or the code of the error that it means; None: it goes on."""
    ours = message.get("question_id") == question_id
    match message:
        case {"type": "status", "stage": "idle"} | {"type": "error", "code": "SERVER_ERROR"} if ours:
            return "idle"
        case {"type": "status", "stage": "interrupting", "question_ids": ids} if question_id in ids:
            return "TASK_ENDED"
        case {"type": "status", "stage": "closed"}:
            return "TASK_ENDED"
        case {"type": "error", "code": "SERVER_ERROR"} if "question_id" not in message:
            return "SERVER_ERROR"
    return None


def routes(bus: Bus, sessions: Sessions) -> APIRouter:
    """`POST /api/ask`."""
    router = APIRouter(tags=["questions"])
    settings = bus.settings

    def caller(request: Request) -> str:
        check_origin(settings, request.headers)
        return principal_of(settings, request.headers)

    @router.post("/api/ask", response_model=None, responses={200: {"content": {"text/event-stream": {}}}})
    async def ask(
        asked: Question, request: Request, principal: str = Depends(caller), accept: Annotated[str, Header()] = "*/*"
    ) -> Response:
        """Ask one question. Server-sent events, or one object at the end with `Accept: application/json`."""
        session = asked.session_id or str(uuid.uuid4())
        _check(asked, session, principal, sessions)
        listener = Listener(session)
        question_id = await _publish(bus, listener, asked, tracing.of_request(request.headers))
        within = (settings.question_ttl or 540.0) + settings.handler_deadline
        messages = _listen(bus, listener, question_id, within)
        if "application/json" in accept and "text/event-stream" not in accept:
            return JSONResponse(await _collect(messages, asked.question, session, question_id))
        accepted = {"type": "ack", "received_type": "ask", "session_id": session, "question_id": question_id}
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_events(accepted, messages), headers=headers, media_type="text/event-stream")

    return router


def _check(asked: Question, session: str, principal: str, sessions: Sessions) -> None:
    if not asked.question.strip():
        raise Problem(422, "EMPTY_QUESTION", "question: is empty")
    if not is_session_id(session):
        raise Problem(422, "INVALID_REQUEST", "session_id: must be without control characters")
    if not sessions.admit(session, principal):
        raise Problem(403, "FORBIDDEN_SESSION", "this session belongs to somebody else")


async def _publish(bus: Bus, listener: Listener, asked: Question, parent: Context | None) -> str:
    """Store the question and start to listen; returns its public id."""
    lang = None if asked.lang == "auto" else asked.lang
    joined = False
    try:
        async with asyncio.timeout(ACK_WITHIN):
            await bus.join(listener)
            joined = bus.attach(listener)
            record = Ask(text=asked.question, lang=lang, asked_at=time.time())
            offset = await asyncio.shield(bus.publish(listener.session, record, parent))
            if offset < 0:
                raise BrokerError("stored, but Kafka does not say where")
    except BaseException as exc:
        if joined:
            bus.leave(listener)
        if not isinstance(exc, BrokerError | TimeoutError | OSError):
            raise
        detail = "the question was not stored within 3 s, or it is not known whether; ask again"
        raise Problem(503, "SERVICE_UNAVAILABLE", detail) from exc
    return public_id(listener.session, Source(offset))


async def _listen(bus: Bus, listener: Listener, question_id: str, within: float) -> AsyncIterator[Message]:
    try:
        async for message in listener.answer(question_id, within):
            yield message
    finally:
        bus.leave(listener)


async def _events(accepted: Message, messages: AsyncIterator[Message]) -> AsyncIterator[bytes]:
    yield _event(accepted)
    async for message in messages:
        yield _event(message)


def _event(message: Message) -> bytes:
    place = f"id: {message['cursor']}\n" if "cursor" in message else ""
    return f"event: {message['type']}\n{place}data: ".encode() + msgspec.json.encode(message) + b"\n\n"


async def _collect(messages: AsyncIterator[Message], question: str, session: str, question_id: str) -> dict[str, Any]:
    """The answer as one object; raises Problem if there is none."""
    pieces: list[str] = []
    ended: Message = {}
    async for message in messages:
        if message["type"] == "error":
            status = _STATUS.get(message["code"], 500)
            raise Problem(status, message["code"], message["message"], question_id=question_id, session_id=session)
        if message["type"] == "answer":
            pieces = [*(pieces if message["stream_index"] else []), message["content"]]
            ended = message if message["final"] else ended
    if not ended:
        detail = "the question was cancelled"
        raise Problem(409, "TASK_ENDED", detail, question_id=question_id, session_id=session)
    kept = {name: ended.get(name) for name in ("found", "sources", "usage", "provider", "timings")}
    asked = {"question_id": question_id, "session_id": session, "question": question}
    return asked | {"answer": "".join(pieces)} | kept
