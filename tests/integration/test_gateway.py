"""The gateway between a real socket and a real Kafka; the test itself writes what the stages would."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from pipeline.settings import Settings
from tests.talker import Log, Talker, served
from topics.messages import AnswerRecord, AsrChunk, Begin, Control, Done, Endpointing, Piece, Stopped, Verdict

pytestmark = pytest.mark.integration


async def test_an_acknowledged_chunk_stands_in_the_transcripts(kafka_settings: Settings) -> None:
    async with served(kafka_settings), Talker.at(kafka_settings, "?lang=en&profile=strict&max_silence=2.5") as talker:
        await talker.chunk("who pays?", id="c1", speaker="A", timestamp=1.5)
        assert await talker.hear() == {
            "type": "ack",
            "received_type": "asr_chunk",
            "is_final": True,
            "session_id": talker.session,
            "id": "c1",
        }
        async with Log.of(kafka_settings) as log:
            [(_, chunk)] = await log.said(talker.session, 1)
    wanted = AsrChunk(text="who pays?", id="c1", speaker="A", timestamp=1.5, lang="en", profile="strict")
    assert chunk == msgspec.structs.replace(wanted, endpointing=Endpointing(max_silence=2.5))


async def test_every_message_of_an_answer_comes_once_and_in_order(kafka_settings: Settings) -> None:
    async with served(kafka_settings), Talker.at(kafka_settings) as talker, Log.of(kafka_settings) as log:
        question = f"{talker.session}/0.9"
        records: list[AnswerRecord] = [
            Begin(question="who pays?", attempt=100),
            Piece(attempt=100, index=0, text="The "),
            Piece(attempt=100, index=0, text="The "),
            Piece(attempt=100, index=1, text="city."),
            Done(attempt=100, index=2, why="ok", text="The city."),
        ]
        await log.answer(talker.session, 0, *records, char=9)
        heard = await talker.hear_all(6)
        stages = [message.get("stage") or message["content"] for message in heard]
        assert stages == ["analyzing", "querying_rag", "The ", "city.", "", "idle"]
        assert {message["question_id"] for message in heard} == {question}
        assert all(message["cursor"] and message["session_id"] == talker.session for message in heard)
        assert await talker.hears_nothing(0.1)


async def test_foreign_unreadable_and_void_records_are_passed_over(kafka_settings: Settings) -> None:
    async with served(kafka_settings), Talker.at(kafka_settings) as talker, Log.of(kafka_settings) as log:
        key = talker.session.encode()
        await log.write(log.answers, key, b"{}")
        await log.write(log.answers, key, b"\xff", [("rag-source", b"1.0"), ("rag-epoch", b"1")])
        await log.write(log.answers, key, b"{}", [("rag-source", b"x"), ("rag-epoch", b"y")])
        await log.write(log.answers, key, b'{"type":"claim","epoch":2}', [("rag-epoch", b"2")])
        await log.write(log.answers, None, b"{}")
        await log.answer(talker.session, 3, Verdict(kind="not_a_question", reason="states"), epoch=2)
        await log.answer(talker.session, 4, Verdict(kind="not_a_question", reason="void"), epoch=1)
        await log.answer(talker.session, 5, Verdict(kind="not_a_question", reason="last"), epoch=2)
        assert [(await talker.hear())["reason"] for _ in range(2)] == ["states", "last"]


async def test_two_connections_on_one_session_see_the_same(kafka_settings: Settings) -> None:
    async with served(kafka_settings), Log.of(kafka_settings) as log, Talker.at(kafka_settings) as one:
        await log.answer("elsewhere", 0, Verdict(kind="not_a_question", reason="of no concern"))
        async with Talker.at(kafka_settings, f"?session_id={one.session}") as other:
            await log.answer(one.session, 0, Verdict(kind="not_a_question", reason="states"))
            assert await one.hear() == await other.hear()


async def test_a_viewer_who_comes_in_the_middle_gets_the_answer_whole(kafka_settings: Settings) -> None:
    async with served(kafka_settings), Talker.at(kafka_settings) as one, Log.of(kafka_settings) as log:
        await log.answer(one.session, 0, Begin(question="q?", attempt=100), Piece(attempt=100, index=0, text="a"))
        await one.hear_all(3)
        async with Talker.at(kafka_settings, f"?session_id={one.session}") as other:
            await log.answer(one.session, 0, Piece(attempt=100, index=1, text="b"))
            await log.answer(one.session, 0, Done(attempt=100, index=2, why="ok", text="ab"))
            answer = await other.hear()
            assert (answer["stream_index"], answer["content"], answer["final"]) == (0, "ab", True)


async def test_one_connection_carries_several_sessions(kafka_settings: Settings) -> None:
    async with served(kafka_settings), Talker.at(kafka_settings) as talker, Log.of(kafka_settings) as log:
        await talker.chunk("hello", session_id="room-2 å")
        ack, listening = await talker.hear_all(2)
        assert (ack["type"], ack["session_id"]) == ("ack", "room-2 å")
        assert (listening["stage"], listening["session_id"]) == ("listening", "room-2 å")
        await log.answer("room-2 å", 0, Verdict(kind="not_a_question", reason="states"))
        assert (await talker.hear())["session_id"] == "room-2 å"
        await talker.chunk("again", session_id="room-2 å")
        await talker.say("keepalive")
        assert [message["type"] for message in await talker.hear_all(2)] == ["ack", "ack"]


async def test_replies_come_in_the_order_of_the_frames(kafka_settings: Settings) -> None:
    async with served(kafka_settings), Talker.at(kafka_settings) as talker, Log.of(kafka_settings) as log:
        for number in range(200):
            await talker.chunk(f"chunk {number}", id=str(number))
            await talker.say("keepalive", id=f"k{number}")
        heard = await talker.hear_all(400)
        wanted = [id for number in range(200) for id in (str(number), f"k{number}")]
        assert [message["id"] for message in heard] == wanted
        said = await log.said(talker.session, 200)
        assert [chunk.id for _, chunk in said] == [str(number) for number in range(200)]


async def test_the_ack_of_a_chunk_comes_before_what_comes_of_it(kafka_settings: Settings) -> None:
    async with served(kafka_settings), Talker.at(kafka_settings) as talker, Log.of(kafka_settings) as log:

        async def judge() -> None:
            async for offset, chunk in log.hearing(talker.session):
                await log.answer(talker.session, offset, Verdict(kind="not_a_question", reason=chunk.id))

        judging = asyncio.create_task(judge())
        heard = []
        for number in range(100):
            await talker.chunk("text", id=str(number))
            heard.append(await talker.hear())
        heard += await talker.hear_all(100)
        judging.cancel()
        await asyncio.gather(judging, return_exceptions=True)
        acks = {message["id"]: place for place, message in enumerate(heard) if message["type"] == "ack"}
        verdicts = {message["reason"]: place for place, message in enumerate(heard) if message["type"] == "status"}
        assert len(acks) == len(verdicts) == 100
        assert all(acks[id] < verdicts[id] for id in acks)


async def test_paused_chunks_are_acknowledged_and_not_stored(kafka_settings: Settings) -> None:
    async with served(kafka_settings), Talker.at(kafka_settings) as talker, Log.of(kafka_settings) as log:
        await talker.say("control", action="pause", id="p")
        ack, paused = await talker.hear_all(2)
        assert (ack["id"], ack["received_type"], paused["stage"]) == ("p", "control", "paused")
        await talker.chunk("unheard")
        ack = await talker.hear()
        assert (ack["message"], ack["is_final"]) == ("paused", True)
        await talker.chunk("")
        assert (await talker.hear())["code"] == "EMPTY_QUESTION"
        await talker.say("control", action="resume")
        assert (await talker.hear())["stage"] == "listening"
        await talker.chunk("heard")
        assert "message" not in await talker.hear()
        assert [chunk.text for _, chunk in await log.said(talker.session, 1)] == ["heard"]


async def test_instant_query_carries_the_latest_final_text(kafka_settings: Settings) -> None:
    async with served(kafka_settings), Talker.at(kafka_settings) as talker, Log.of(kafka_settings) as log:
        await talker.chunk("who pays")
        await talker.chunk("interim", is_final=False)
        await talker.say("control", action="instant_query", id="i")
        await talker.hear_all(3)
        _, _, (_, control) = await log.said(talker.session, 3)
        assert isinstance(control, Control)
        assert (control.action, control.text, control.id) == ("instant_query", "who pays", "i")
        assert abs(control.asked_at - time.time()) < 10


async def test_cancel_names_the_question_that_the_client_sees(kafka_settings: Settings) -> None:
    async with served(kafka_settings), Talker.at(kafka_settings) as talker, Log.of(kafka_settings) as log:
        await talker.say("control", action="cancel", id="none")
        await talker.hear()
        await log.answer(talker.session, 5, Begin(question="q?", attempt=100), char=2)
        await talker.hear_all(2)
        await talker.say("control", action="cancel", id="seen")
        await talker.hear()
        controls = [control for _, control in await log.said(talker.session, 2)]
        assert [control.question_id for control in controls] == [None, f"{talker.session}/5.2"]


async def test_stop_says_idle_and_closed_and_closes(kafka_settings: Settings) -> None:
    async with served(kafka_settings), Talker.at(kafka_settings) as talker:
        await talker.say("control", action="stop", id="s")
        ack, idle, closed = await talker.hear_all(3)
        assert (ack["id"], idle["stage"], closed["stage"]) == ("s", "idle", "closed")
        assert await talker.close_code() == 1000


async def test_stop_of_another_session_leaves_the_connection_and_is_said_once(kafka_settings: Settings) -> None:
    async with served(kafka_settings), Talker.at(kafka_settings) as talker, Log.of(kafka_settings) as log:
        await talker.chunk("hello", session_id="other")
        await talker.hear_all(2)
        await talker.say("control", action="stop", session_id="other")
        assert [message["stage"] for message in await talker.hear_all(2)] == ["idle", "closed"]
        await talker.chunk("again", session_id="other")
        assert [message["type"] for message in await talker.hear_all(2)] == ["ack", "status"]
        (_, _), (stopped, _), (last, _) = await log.said("other", 3)
        await log.answer("other", stopped, Stopped())
        await log.answer("other", last, Verdict(kind="not_a_question", reason="states"))
        assert (await talker.hear())["stage"] == "waiting_for_question"


async def test_other_viewers_hear_of_a_stop_from_the_log(kafka_settings: Settings) -> None:
    async with served(kafka_settings), Log.of(kafka_settings) as log, Talker.at(kafka_settings) as one:
        query = f"?session_id={one.session}"
        async with Talker.at(kafka_settings, query) as other:
            await one.say("control", action="stop")
            await one.hear_all(2)
            [(offset, _)] = await log.said(one.session, 1)
            await log.answer(one.session, offset, Stopped())
            assert [message["stage"] for message in await other.hear_all(2)] == ["idle", "closed"]
            assert await other.close_code() == 1000


async def test_a_closed_of_before_the_connection_does_not_close_it(kafka_settings: Settings) -> None:
    async with served(kafka_settings), Log.of(kafka_settings) as log:
        async with Talker.at(kafka_settings) as one:
            await one.say("control", action="stop")
            await one.close_code()
        async with Talker.at(kafka_settings, f"?session_id={one.session}") as again:
            await log.answer(one.session, 0, Stopped())
            await again.hear_all(2)
            assert await again.hears_nothing(0.1)


async def test_a_client_that_reads_nothing_is_sent_away_and_told_to_resume(kafka_settings: Settings) -> None:
    async with (
        served(kafka_settings),
        Log.of(kafka_settings) as log,
        Talker.at(kafka_settings, max_queue=1) as talker,
    ):
        await log.answer(talker.session, 0, Begin(question="q?", attempt=100))
        for index in range(40):
            await log.answer(talker.session, 0, Piece(attempt=100, index=index, text="x" * 500_000))
        assert await talker.close_code() == 1013


async def test_a_stopping_gateway_sends_its_clients_elsewhere(kafka_settings: Settings) -> None:
    async with served(kafka_settings) as server, Talker.at(kafka_settings) as talker:
        server.should_exit = True
        assert await talker.close_code() == 1012


async def test_the_log_goes_on_while_the_client_is_away(kafka_settings: Settings) -> None:
    """Closing the socket is no cancel: nothing is said to the stages."""
    async with served(kafka_settings), Log.of(kafka_settings) as log:
        async with Talker.at(kafka_settings) as talker:
            await talker.chunk("who pays?")
            await talker.hear()
        async with Talker.at(kafka_settings, f"?session_id={talker.session}") as again:
            await again.chunk("again")
            await again.hear()
        assert [record.text for _, record in await log.said(talker.session, 2)] == ["who pays?", "again"]


async def test_many_connections_at_once_each_hear_their_own(kafka_settings: Settings) -> None:
    async with served(kafka_settings), Log.of(kafka_settings) as log:

        async def one(number: int) -> None:
            async with Talker.at(kafka_settings) as talker:
                await talker.chunk(f"text {number}")
                await talker.hear()
                await log.answer(talker.session, 0, Verdict(kind="not_a_question", reason=str(number)))
                assert (await talker.hear())["reason"] == str(number)

        await asyncio.gather(*(one(number) for number in range(30)))
