"""One connection's sessions without a socket: acks before outcomes, pause, controls, limits."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway.connection import MAX_SESSIONS, Connection, Plan, Seat, replies_to
from gateway.frames import ProtocolError, read_frame
from gateway.outbox import MAX_BYTES, MAX_WAITING, NORMAL, OVERRUN, Outbox
from gateway.sessions import Sessions
from gateway.updates import advance
from pipeline.delivery import Entry, View
from topics.messages import AnswerRecord, Begin, Control, Piece, Stopped, Verdict
from topics.sources import Source

pytestmark = pytest.mark.unit


class Talk:
    """A connection whose frames are taken, answered and sent by hand."""

    def __init__(self, **marks: Any) -> None:
        self.outbox = Outbox()
        self.opened: list[str] = []
        self.stopped: list[str] = []
        self.connection = Connection(
            principal="me",
            session="own",
            sessions=marks.pop("sessions", Sessions()),
            outbox=self.outbox,
            on_opened=lambda seat: self.opened.append(seat.session),
            on_stopped=lambda seat: self.stopped.append(seat.session),
            **marks,
        )
        self.connection.seat().announced = True

    def take(self, type: str, **fields: Any) -> Plan:
        frame = read_frame(json.dumps({"type": type, **fields}))
        seat = self.connection.seat(frame.session)
        seat.take()
        return self.connection.plan(seat, frame, now=100.0)

    def chunk(self, text: str = "hello", **fields: Any) -> Plan:
        return self.take("asr_chunk", **{"text": text, "is_final": True} | fields)

    def answer(self, plan: Plan, offset: int | None = 0) -> None:
        plan.seat.answer(replies_to(plan, offset))

    def log(self, seat: Seat, offset: int, record: AnswerRecord) -> None:
        seat.view, update = advance(seat.view, Entry(seat.session, Source(offset), 1, record), offset, b"value")
        if update.messages:
            seat.deliver(update)

    async def sent(self) -> list[dict[str, Any]]:
        """Everything that went out since the last call."""
        self.outbox.put("null")  # so that the end is seen
        frames = []
        while (frame := await self.outbox.get()) != "null":
            self.outbox.sent()
            assert isinstance(frame, str)
            frames.append(json.loads(frame))
        self.outbox.sent()
        return frames


NOT_ASKED = Verdict(kind="not_a_question", reason="states")


def _words(messages: list[dict[str, Any]]) -> list[str]:
    return [message.get("stage") or message.get("code") or message["type"] for message in messages]


async def test_what_the_log_says_waits_for_the_ack() -> None:
    talk = Talk()
    plan = talk.chunk()
    talk.log(plan.seat, 0, NOT_ASKED)
    assert await talk.sent() == []
    talk.answer(plan)
    assert _words(await talk.sent()) == ["ack", "waiting_for_question"]


async def test_it_waits_for_the_error_in_place_of_the_ack_too() -> None:
    talk = Talk()
    plan = talk.chunk(id="c1")
    talk.log(plan.seat, 0, NOT_ASKED)
    talk.answer(plan, None)
    refused, verdict = await talk.sent()
    assert (refused["code"], refused["id"]) == ("SERVICE_UNAVAILABLE", "c1")
    assert verdict["stage"] == "waiting_for_question"


async def test_a_client_that_never_stops_talking_hears_what_came_of_its_first_words() -> None:
    """An update waits for the frames before it, not for those that come while it waits."""
    talk = Talk()
    first, second = talk.chunk(), talk.chunk()
    talk.log(first.seat, 0, NOT_ASKED)
    third = talk.chunk()
    talk.answer(first)
    assert _words(await talk.sent()) == ["ack"]
    talk.answer(second)
    assert _words(await talk.sent()) == ["ack", "waiting_for_question"]
    talk.answer(third)
    assert _words(await talk.sent()) == ["ack"]


async def test_sessions_do_not_wait_for_each_other() -> None:
    talk = Talk()
    other = talk.chunk(session_id="other").seat
    talk.log(talk.connection.seat(), 0, NOT_ASKED)
    talk.log(other, 0, NOT_ASKED)
    assert [message["session_id"] for message in await talk.sent()] == ["own"]


async def test_a_session_opened_by_a_message_is_announced_after_the_ack_and_before_all_else() -> None:
    talk = Talk()
    plan = talk.chunk(session_id="other")
    talk.log(plan.seat, 0, NOT_ASKED)
    talk.answer(plan)
    assert _words(await talk.sent()) == ["ack", "listening", "waiting_for_question"]
    assert talk.opened == ["own", "other"]
    talk.answer(talk.take("control", action="pause", session_id="third"))
    assert _words(await talk.sent()) == ["listening", "paused"]


async def test_pause_passes_chunks_over_and_keeps_controls() -> None:
    talk = Talk()
    talk.answer(talk.take("control", action="pause"))
    chunk, interim = talk.chunk(), talk.chunk(is_final=False, text="")
    assert chunk.record is None and interim.record is None
    talk.answer(chunk)
    paused, ack = await talk.sent()
    assert paused["stage"] == "paused"
    assert (ack["message"], ack["received_type"], ack["is_final"]) == ("paused", "asr_chunk", True)
    assert talk.take("control", action="instant_query").record is not None
    assert talk.chunk(session_id="other").record is not None
    talk.take("control", action="resume")
    assert talk.chunk().record is not None


async def test_instant_query_takes_the_latest_final_text_that_was_not_paused() -> None:
    talk = Talk(lang="en")
    talk.chunk("first")
    talk.chunk("second")
    talk.chunk("interim", is_final=False)
    talk.take("control", action="pause")
    talk.chunk("unheard")
    record = talk.take("control", action="instant_query", id="i").record
    assert record == Control(action="instant_query", id="i", text="second", lang="en", asked_at=100.0)


async def test_cancel_means_the_question_that_the_client_sees() -> None:
    talk = Talk()
    seat = talk.connection.seat()
    assert talk.take("control", action="cancel").record == Control(action="cancel", asked_at=100.0)
    talk.log(seat, 4, Begin(question="q?", attempt=100))
    seen = talk.take("control", action="cancel").record
    named = talk.take("control", action="cancel", question_id="own/9.0").record
    assert isinstance(seen, Control) and seen.question_id == "own/4.0"
    assert isinstance(named, Control) and named.question_id == "own/9.0"


async def test_stop_says_idle_and_closed_and_the_log_does_not_repeat_them() -> None:
    talk = Talk()
    seat = talk.connection.seat()
    talk.log(seat, 4, Begin(question="q?", attempt=100))
    plan = talk.take("control", action="stop", id="s")
    talk.answer(plan, 7)
    seat.stop(7)
    talk.log(seat, 4, Piece(attempt=100, index=0, text="too late"))
    talk.log(seat, 7, Stopped())
    assert _words(await talk.sent()) == ["analyzing", "querying_rag", "ack", "idle", "closed"]
    assert talk.stopped == ["own"]


async def test_the_log_may_be_faster_than_the_ack_of_stop() -> None:
    talk = Talk()
    plan = talk.take("control", action="stop", id="s")
    talk.log(plan.seat, 7, Stopped())
    assert talk.stopped == []
    talk.answer(plan, 7)
    plan.seat.stop(7)
    assert _words(await talk.sent()) == ["ack", "idle", "closed"]
    assert talk.stopped == ["own"]


async def test_a_stop_of_before_the_client_came_closes_nothing() -> None:
    talk = Talk()
    seat = talk.connection.seat()
    seat.since = 8
    talk.log(seat, 7, Stopped())
    assert _words(await talk.sent()) == ["idle", "closed"]
    assert talk.stopped == []


async def test_a_stopped_session_opens_again_and_does_not_hear_of_its_stop_twice() -> None:
    talk = Talk()
    plan = talk.take("control", action="stop", session_id="other")
    talk.answer(plan, 7)
    plan.seat.stop(7)
    talk.connection.leave(plan.seat)
    again = talk.chunk(session_id="other")
    assert again.seat is not plan.seat
    talk.answer(again, 9)
    talk.log(again.seat, 7, Stopped())
    assert _words(await talk.sent()) == ["listening", "idle", "closed", "ack", "listening"]


async def test_a_session_of_somebody_else_is_refused() -> None:
    sessions = Sessions()
    sessions.admit("theirs", "them")
    talk = Talk(sessions=sessions)
    with pytest.raises(ProtocolError, match="somebody else") as caught:
        talk.connection.seat("theirs")
    assert caught.value.code == "FORBIDDEN_SESSION"


async def test_a_connection_carries_a_bounded_number_of_sessions() -> None:
    talk = Talk()
    for number in range(MAX_SESSIONS - 1):
        talk.connection.seat(str(number))
    with pytest.raises(ProtocolError) as caught:
        talk.connection.seat("one too many")
    assert caught.value.code == "RATE_LIMITED"


async def test_what_waits_for_an_ack_counts_as_waiting() -> None:
    talk = Talk()
    plan = talk.chunk()
    for number in range(MAX_WAITING + 1):
        talk.log(plan.seat, number, NOT_ASKED)
    assert await talk.outbox.get() == OVERRUN


async def test_an_outbox_holds_so_many_messages_and_so_many_bytes() -> None:
    many, large = Outbox(), Outbox()
    for _ in range(MAX_WAITING):
        many.put("x")
    assert await many.get() == "x"
    many.put("x")
    assert await many.get() == OVERRUN
    large.put("字" * (MAX_BYTES // 3))
    assert isinstance(await large.get(), str)
    large.put("字字")
    assert await large.get() == OVERRUN


async def test_an_outbox_gives_what_waits_and_then_the_first_close_code() -> None:
    outbox = Outbox()
    outbox.put("a")
    outbox.finish(NORMAL)
    outbox.finish(OVERRUN)
    outbox.put("too late")
    assert await outbox.get() == "a"
    outbox.sent()
    assert await outbox.get() == NORMAL


async def test_history_waits_for_room() -> None:
    outbox = Outbox()
    outbox.put(*["x"] * (MAX_WAITING // 2 + 1))
    waiting = asyncio.ensure_future(outbox.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    await outbox.get()
    outbox.sent()
    await waiting


def test_who_opens_a_session_owns_it_while_it_is_remembered() -> None:
    sessions = Sessions(remembered=2)
    assert sessions.admit("a", "me") and not sessions.admit("a", "you")
    sessions.admit("b", "me")
    sessions.admit("c", "me")
    assert sessions.admit("a", "you")


def test_every_message_of_a_record_has_the_cursor_of_its_place() -> None:
    entry = Entry("s", Source(1), 1, Begin(question="q?", attempt=100))
    _, whole = advance(View(), entry, 5, b"value")
    _, rest = advance(View(), entry, 5, b"value", skip=1)
    assert rest.messages == whole.messages[1:]
    assert len({message["cursor"] for message in whole.messages}) == 2
    assert [json.loads(frame) for frame in whole.frames] == whole.messages
