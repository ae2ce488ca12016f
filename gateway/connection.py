"""One connection's sessions: what each frame leads to, and what must wait until the client has its ack. No socket."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from gateway.frames import ChunkFrame, ControlFrame, Frame, ProtocolError, ack, error, status
from gateway.outbox import Outbox
from gateway.sessions import Sessions
from gateway.updates import Update, dump
from pipeline.delivery import Entry, Message, View, fold
from topics.messages import Control, Endpointing, Record, Stopped
from topics.sources import BEFORE_ALL, Source, public_id

MAX_SESSIONS = 256  # of one connection at a time


class Seat:
    """One session on one connection: a viewer whose updates go to the client's outbox.

    Every frame is counted in when it is taken and out when it is answered. An update of the log that comes in between
    may come of any frame counted in by then, so it waits until those, and not later ones, are answered.
    """

    def __init__(self, session: str, outbox: Outbox, on_stopped: Callable[[Seat], None], view: View) -> None:
        self.session = session
        self.view = view
        self.partition = self.position = self.since = 0
        self.paused = False
        self.announced = False
        self._outbox, self._on_stopped = outbox, on_stopped
        self._taken = self._answered = 0
        self._held: deque[tuple[int, Update]] = deque()

    def take(self) -> None:
        """A frame came."""
        self._taken += 1

    def answer(self, replies: list[Message]) -> None:
        """Answer the oldest unanswered frame, and send what waited for that."""
        self._outbox.put(*(dump(reply) for reply in replies))
        self._answered += 1
        while self._held and self._held[0][0] <= self._answered:
            self._send(self._held.popleft()[1])

    def deliver(self, update: Update) -> None:
        """Send what the log says, or keep it until the frames that came before it are answered."""
        if not self._outbox.admit(update.frames):
            return
        if self._taken > self._answered:
            self._held.append((self._taken, update))
        else:
            self._send(update)

    def stop(self, offset: int) -> None:
        """The client's own `stop` is stored: say what the log's record of it says, which then says nothing more."""
        source = Source(offset)
        self.view, messages = fold(self.view, Entry(self.session, source, self.view.epoch, Stopped()))
        update = Update(source, messages, [dump(message) for message in messages], stopped=bool(messages))
        if self._outbox.admit(update.frames) and self._held:
            self._held.append((self._answered, update))
        else:
            self._send(update)

    def expire(self, oldest: str) -> None:
        """Tell the client that a part of the log is gone."""
        message = "the log does not reach back to the cursor; this is what it has"
        self._tell(error(self.session, "HISTORY_EXPIRED", message, {"cursor": oldest}))

    def refuse(self, reason: str) -> None:
        """Tell the client that the cursor cannot be used."""
        self._tell(error(self.session, "INVALID_MESSAGE", reason, {"field": "cursor", "reason": reason}))

    async def room(self) -> None:
        """Return when the client's outbox has room for history."""
        await self._outbox.room()

    def _tell(self, message: Message) -> None:
        self.deliver(Update(BEFORE_ALL, [message], [dump(message)]))

    def _send(self, update: Update) -> None:
        self._outbox.push(update.frames)
        if update.stopped and update.source.offset >= self.since:
            self._on_stopped(self)


@dataclass(frozen=True)
class Plan:
    """What a frame leads to: a record to store, if any, and the replies once it is."""

    seat: Seat
    frame: Frame
    replies: list[Message]
    record: Record | None = None

    @property
    def stops(self) -> bool:
        """Whether the session ends with it."""
        return isinstance(self.record, Control) and self.record.action == "stop"


@dataclass
class Connection:
    """A client's sessions; `session` is its own; `lang`, `profile`, `endpointing` mark its chunks."""

    principal: str
    session: str
    sessions: Sessions
    outbox: Outbox
    on_opened: Callable[[Seat], None]
    on_stopped: Callable[[Seat], None]
    lang: str | None = None
    profile: str | None = None
    endpointing: Endpointing | None = None
    seats: dict[str, Seat] = field(default_factory=dict)
    _stopped: OrderedDict[str, View] = field(default_factory=OrderedDict)

    def seat(self, session: str | None = None) -> Seat:
        """The seat of a session, by default of the connection's own; a new one is shown to `on_opened`.

        Raises:
            ProtocolError: the session is somebody else's, or there are too many.
        """
        session = session or self.session
        if seat := self.seats.get(session):
            return seat
        if not self.sessions.admit(session, self.principal):
            raise ProtocolError("FORBIDDEN_SESSION", "this session belongs to somebody else", {"field": "session_id"})
        if len(self.seats) >= MAX_SESSIONS:
            reason = f"a connection carries at most {MAX_SESSIONS} sessions; stop one or open another connection"
            raise ProtocolError("RATE_LIMITED", reason, {"field": "session_id", "reason": reason})
        seat = Seat(session, self.outbox, self.on_stopped, self._stopped.pop(session, View()))
        self.seats[session] = seat
        self.on_opened(seat)
        return seat

    def leave(self, seat: Seat) -> None:
        """Forget a stopped session, but for what was said of it: a later message opens it again."""
        if self.seats.pop(seat.session, None) is not None:
            self._stopped[seat.session] = seat.view
            if len(self._stopped) > MAX_SESSIONS:
                self._stopped.popitem(last=False)

    def plan(self, seat: Seat, frame: Frame, now: float) -> Plan:
        """Decide on a frame; `now` is in seconds since 1970."""
        match frame:
            case ChunkFrame():
                return self._chunk(seat, frame)
            case ControlFrame():
                return self._control(seat, frame, now)
        return Plan(seat, frame, [ack(seat.session, received_type="keepalive", id=frame.id)])

    def _chunk(self, seat: Seat, frame: ChunkFrame) -> Plan:
        chunk = frame.chunk
        reply = ack(seat.session, received_type="asr_chunk", is_final=chunk.is_final, id=frame.id)
        if seat.paused:
            return Plan(seat, frame, [reply | {"message": "paused"}])
        if chunk.is_final:
            self.sessions.hear(seat.session, chunk.text)
        marked = msgspec.structs.replace(
            chunk, lang=chunk.lang or self.lang, profile=self.profile, endpointing=self.endpointing
        )
        return Plan(seat, frame, [reply], marked)

    def _control(self, seat: Seat, frame: ControlFrame, now: float) -> Plan:
        replies = []
        if frame.id is not None:
            replies.append(ack(seat.session, received_type="control", action=frame.action, id=frame.id))
        match frame.action:
            case "pause":
                seat.paused = True
                note = "chunks are acknowledged and passed over until resume"
                return Plan(seat, frame, [*replies, status(seat.session, "paused", note)])
            case "resume":
                seat.paused = False
                return Plan(seat, frame, [*replies, status(seat.session, "listening", "listening again")])
            case "instant_query":
                record = Control(action="instant_query", id=frame.id, lang=self.lang, asked_at=now)
                latest = self.sessions.latest(seat.session)
                return Plan(seat, frame, replies, msgspec.structs.replace(record, text=latest))
            case "cancel":
                named = frame.question_id or _visible(seat)
                record = Control(action="cancel", id=frame.id, question_id=named, asked_at=now)
                return Plan(seat, frame, replies, record)
            case "stop":
                return Plan(seat, frame, replies, Control(action="stop", id=frame.id, asked_at=now))


def _visible(seat: Seat) -> str | None:
    return public_id(seat.session, seat.view.current) if seat.view.current else None


def replies_to(plan: Plan, offset: int | None) -> list[Message]:
    """What the client hears of its frame; `offset` is where the record stands, None: it was not acknowledged."""
    session = plan.seat.session
    if plan.record is not None and offset is None:
        message = "not stored within 3 s, or not known whether; send it again, in order, with the same id"
        return [error(session, "SERVICE_UNAVAILABLE", message, id=plan.frame.id)]
    if plan.seat.announced:
        return plan.replies
    plan.seat.announced = True
    acks = [reply for reply in plan.replies if reply["type"] == "ack"]
    others = [reply for reply in plan.replies if reply["type"] != "ack"]
    return [*acks, status(session, "listening", "a session was opened"), *others]
