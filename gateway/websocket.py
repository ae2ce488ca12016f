"""The WebSocket: one conversation with a client, its frames read, stored and answered in order, its sessions shown."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass

from fastapi import WebSocket, WebSocketDisconnect

from gateway.batch import Batch
from gateway.bus import Bus
from gateway.connection import Connection, Plan, Seat, replies_to
from gateway.frames import Frame, ProtocolError, SubscribeFrame, ack, error, read_frame, status
from gateway.metrics import ws_received, ws_refused, ws_sent
from gateway.outbox import NORMAL, Outbox
from gateway.publisher import ACK_WITHIN
from gateway.resume import CatchUp
from gateway.subscriptions import Subscriptions
from gateway.updates import dump
from gateway.upgrade import Wish
from pipeline.cursor import Cursor, CursorError
from pipeline.delivery import Message, View
from pipeline.errors import BrokerError

GREET_WITHIN = 2.0  # seconds a new client waits for its session's place in the log before it is greeted without
UNANSWERED = 32  # frames taken and not answered; with so many we stop reading the socket
TAKE_WITHIN = 30.0  # seconds for a client to take a frame that does not fit its buffers
FAILED = 1011

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Turn:
    """A frame that waits for its answer: what it leads to, or why it was refused."""

    plan: Plan | None
    deadline: float
    refusal: Message | None = None
    stored: asyncio.Task[int] | None = None


@dataclass(frozen=True)
class _Place:
    """A session's way into the log: the task that brings it there, and until when a frame may wait for it."""

    joining: asyncio.Task[None]
    found: asyncio.Event
    until: float


class Conversation:
    """One client from its upgrade to its close."""

    def __init__(self, socket: WebSocket, bus: Bus, catch_up: CatchUp, batch: Batch, wish: Wish) -> None:
        self._socket, self._bus, self._catch_up, self._wish = socket, bus, catch_up, wish
        self.outbox = Outbox()
        self._subscriptions = Subscriptions(batch, wish.principal, self.outbox)
        own = (wish.lang, wish.profile, wish.endpointing)
        self._connection = Connection(
            wish.principal, wish.session, wish.sessions, self.outbox, self._open, self._close, *own
        )
        self._turns: asyncio.Queue[_Turn] = asyncio.Queue(UNANSWERED)
        self._places: dict[Seat, _Place] = {}

    async def run(self) -> None:
        """Speak with the client until one of both ends it; what it said by then is stored all the same."""
        loops: set[asyncio.Task[None]] = set()
        try:
            await self._greet()
            loops = {asyncio.create_task(loop) for loop in (self._read(), self._answer(), self._write())}
            done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except (WebSocketDisconnect, TimeoutError):
            pass  # the client is gone, or takes nothing
        except Exception:  # a fault of ours must not take other conversations along
            log.exception("a conversation failed")
            await self._socket.close(FAILED)
        finally:
            await _cancel(loops | {place.joining for place in self._places.values()})
            await self._subscriptions.close()
            for seat in list(self._places):
                self._depart(seat)

    async def _greet(self) -> None:
        seat = self._connection.seat()
        seat.take()
        if isinstance(self._wish.cursor, CursorError):
            seat.refuse(str(self._wish.cursor))
        place = self._places[seat]
        await _within(GREET_WITHIN, place.found)
        greeting = ack(seat.session, message="connected")
        if isinstance(self._wish.cursor, Cursor):
            greeting |= {"resumed": True, "cursor": self._wish.cursor.dump()}
        elif place.found.is_set():
            greeting["cursor"] = Cursor.at(seat.session, seat.position, View()).dump()
        seat.announced = True
        seat.answer([greeting, status(seat.session, "listening", "speak")])

    def _open(self, seat: Seat) -> None:
        found = asyncio.Event()
        joining = asyncio.create_task(self._join(seat, found))
        self._places[seat] = _Place(joining, found, asyncio.get_running_loop().time() + ACK_WITHIN)
        self._subscriptions.join(seat.session)

    async def _join(self, seat: Seat, found: asyncio.Event) -> None:
        try:
            await self._bus.join(seat)
            found.set()
            if seat.session == self._wish.session and isinstance(self._wish.cursor, Cursor):
                await self._catch_up.run(seat, self._wish.cursor)
            else:
                self._bus.attach(seat)
        except Exception:  # the client is told to come again instead of waiting for ever
            log.exception("session %r cannot be shown", seat.session)
            self.outbox.finish(FAILED)

    def _close(self, seat: Seat) -> None:
        if seat.session == self._wish.session:
            self.outbox.finish(NORMAL)
        else:
            self._connection.leave(seat)
            self._depart(seat)

    def _depart(self, seat: Seat) -> None:
        if self._places.pop(seat).found.is_set():
            self._bus.leave(seat)

    async def _read(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            await self._turns.put(await self._take(text if text is not None else message["bytes"]))

    async def _take(self, data: str | bytes) -> _Turn:
        deadline = asyncio.get_running_loop().time() + ACK_WITHIN
        frame = Frame()
        ws_received.inc()
        try:
            frame = read_frame(data)
            seat = self._connection.seat(frame.session)
        except ProtocolError as exc:
            ws_refused.labels(exc.code).inc()
            session = frame.session or exc.session or self._wish.session
            return _Turn(None, deadline, error(session, exc.code, exc.message, exc.details, frame.id or exc.id))
        seat.take()
        plan = self._connection.plan(seat, frame, time.time())
        return _Turn(plan, deadline, stored=await self._store(plan))

    async def _store(self, plan: Plan) -> asyncio.Task[int] | None:
        if plan.record is None or (place := self._places.get(plan.seat)) is None:
            return None
        await _within(place.until - asyncio.get_running_loop().time(), place.found)
        if not place.found.is_set():
            return None
        try:
            return self._bus.publish(plan.seat.session, plan.record)
        except BrokerError:
            return None

    async def _answer(self) -> None:
        while True:
            turn = await self._turns.get()
            if turn.plan is None:
                self.outbox.put(dump(turn.refusal or {}))
                continue
            seat, frame = turn.plan.seat, turn.plan.frame
            if isinstance(frame, SubscribeFrame):
                seat.answer(await self._subscriptions.begin(frame, seat.session))
                continue
            offset = await self._offset(turn)
            seat.answer(replies_to(turn.plan, offset))
            if turn.plan.stops and offset is not None:
                seat.stop(offset)

    async def _offset(self, turn: _Turn) -> int | None:
        """Where the record of a frame stands; nothing if that is not known when its time is up."""
        if turn.stored is None:
            return None
        left = turn.deadline - asyncio.get_running_loop().time()
        await asyncio.wait({turn.stored}, timeout=max(left, 0))
        if not turn.stored.done() or turn.stored.cancelled() or turn.stored.exception() is not None:
            return None
        return turn.stored.result()

    async def _write(self) -> None:
        while True:
            item = await self.outbox.get()
            async with asyncio.timeout(TAKE_WITHIN):
                if isinstance(item, int):
                    return await self._socket.close(item)
                await self._socket.send_text(item)
            self.outbox.sent()
            ws_sent.inc()


async def _within(seconds: float, event: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
