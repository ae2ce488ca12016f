"""Resuming by cursor: on any gateway, without a gap and without a repeat, wherever the connection was cut."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import RecordsToDelete

from ops.admin import admin_client
from pipeline.cursor import Cursor
from pipeline.delivery import View
from pipeline.settings import Settings
from tests.talker import Log, Message, Talker, served
from topics.messages import AnswerRecord, Begin, Done, Piece, Stopped, Verdict

pytestmark = pytest.mark.integration

ANSWER: list[AnswerRecord] = [
    Begin(question="who pays?", attempt=100),
    *(Piece(attempt=100, index=index, text=f"{index} ") for index in range(5)),
    Done(attempt=100, index=5, why="ok", text="0 1 2 3 4 "),
    Begin(question="and then?", attempt=100, mode="instant"),
]
SOURCES = [0] * 7 + [3]


async def _write(log: Log, session: str) -> None:
    for source, record in zip(SOURCES, ANSWER, strict=True):
        await log.answer(session, source, record)


def _resumed(talker: Talker, cursor: str | None = None) -> str:
    return f"?session_id={talker.session}&cursor={cursor or talker.cursor}"


async def test_a_cut_after_any_message_leaves_no_gap_and_no_repeat(kafka_settings: Settings) -> None:
    async with served(kafka_settings), Talker.at(kafka_settings) as talker, Log.of(kafka_settings) as log:
        await _write(log, talker.session)
        heard = await talker.hear_all(11)

        async def after(seen: int, cursor: str) -> None:
            async with Talker.at(kafka_settings, _resumed(talker, cursor)) as again:
                assert again.greeting["resumed"] is True
                assert await again.hear_all(11 - seen) == heard[seen:]
                assert await again.hears_nothing(0)

        cursors = [talker.greeting["cursor"], *(message["cursor"] for message in heard)]
        await asyncio.gather(*(after(seen, cursor) for seen, cursor in enumerate(cursors)))


async def test_a_resumed_client_goes_on_live_on_another_gateway(kafka_settings: Settings) -> None:
    async with served(kafka_settings), Log.of(kafka_settings) as log:
        async with Talker.at(kafka_settings) as talker:
            await log.answer(talker.session, 0, *ANSWER[:3])
            await talker.hear_all(4)
        await log.answer(talker.session, 0, ANSWER[3])
    async with (
        served(kafka_settings),
        Log.of(kafka_settings) as log,
        Talker.at(kafka_settings, _resumed(talker)) as again,
    ):
        assert (await again.hear())["stream_index"] == 2
        await log.answer(talker.session, 0, *ANSWER[4:7])
        assert [message.get("stream_index") for message in await again.hear_all(4)] == [3, 4, 5, None]


async def test_what_is_written_while_catching_up_comes_once(kafka_settings: Settings) -> None:
    async with served(kafka_settings), Log.of(kafka_settings) as log:
        async with Talker.at(kafka_settings) as talker:
            pass
        total = 200

        async def write() -> None:
            for number in range(total):
                await log.answer(talker.session, number, Verdict(kind="not_a_question", reason=str(number)))

        async def read() -> list[str]:
            async with Talker.at(kafka_settings, _resumed(talker)) as again:
                return [message["reason"] for message in await again.hear_all(total)]

        _, *heard = await asyncio.gather(write(), *(read() for _ in range(8)))
        assert heard == [[str(number) for number in range(total)]] * 8


async def test_a_long_history_does_not_overrun_the_client(kafka_settings: Settings) -> None:
    async with served(kafka_settings), Log.of(kafka_settings) as log:
        async with Talker.at(kafka_settings) as talker:
            pass
        await asyncio.gather(
            *(log.answer(talker.session, n, Verdict(kind="not_a_question", reason="r" * 9000)) for n in range(600))
        )
        async with Talker.at(kafka_settings, _resumed(talker)) as again:
            assert len(await again.hear_all(600)) == 600


@pytest.mark.parametrize("cursor", ["garbage", "", "AAAA"])
async def test_a_cursor_that_is_none_of_ours_is_refused_and_the_session_goes_on_live(
    kafka_settings: Settings, cursor: str
) -> None:
    async with served(kafka_settings), Talker.at(kafka_settings) as talker, Log.of(kafka_settings) as log:
        await log.answer(talker.session, 0, *ANSWER[:2])
        await talker.hear_all(3)
        foreign = cursor or (talker.cursor or "")
        async with Talker.at(kafka_settings, f"?session_id=another&cursor={foreign}") as other:
            assert "resumed" not in other.greeting
            refusal = await other.hear()
            assert (refusal["code"], refusal["details"]["field"]) == ("INVALID_MESSAGE", "cursor")
            await log.answer("another", 1, Verdict(kind="not_a_question", reason="live"))
            assert (await other.hear())["reason"] == "live"


async def test_a_cursor_of_another_log_is_refused_and_nothing_since_is_missed(kafka_settings: Settings) -> None:
    async with served(kafka_settings), Log.of(kafka_settings) as log:
        async with Talker.at(kafka_settings) as talker:
            await log.answer(talker.session, 0, Verdict(kind="not_a_question", reason="first"))
            await talker.hear()
        offset = Cursor.parse(talker.cursor or "", talker.session).offset
        cursors = [
            Cursor.at(talker.session, offset, View(), seen=1, value=b"another").dump(),
            Cursor.at(talker.session, offset + 1000, View(), seen=1, value=b"x").dump(),
            Cursor.at(talker.session, offset + 1000, View()).dump(),
        ]
        for number, cursor in enumerate(cursors, start=1):
            async with Talker.at(kafka_settings, _resumed(talker, cursor)) as again:
                refusal = await again.hear()
                assert (refusal["code"], refusal["details"]["field"]) == ("INVALID_MESSAGE", "cursor")
                await log.answer(talker.session, number, Verdict(kind="not_a_question", reason="live"))
                assert (await again.hear())["reason"] == "live"


async def test_a_cursor_below_the_log_hears_so_and_goes_on_from_the_oldest(kafka_settings: Settings) -> None:
    async with served(kafka_settings), Log.of(kafka_settings) as log:
        async with Talker.at(kafka_settings) as talker:
            await log.answer(talker.session, 0, *ANSWER[:3])
            await talker.hear_all(4)
        await _forget(kafka_settings, log.answers)
        await log.answer(talker.session, 0, *ANSWER[3:7])
        async with Talker.at(kafka_settings, _resumed(talker)) as again:
            expired, answer, idle = await again.hear_all(3)
            assert expired["code"] == "HISTORY_EXPIRED"
            assert (answer["stream_index"], answer["content"], answer["final"]) == (0, "0 1 2 3 4 ", True)
            assert idle["stage"] == "idle"
        async with Talker.at(kafka_settings, _resumed(talker, expired["details"]["cursor"])) as once_more:
            assert await once_more.hear_all(2) == [answer, idle]


async def _forget(settings: Settings, topic: str) -> None:
    """Delete every record of a topic, as retention does."""
    async with AIOKafkaConsumer(topic, **settings.kafka_client()) as reader:
        ends = await reader.end_offsets(list(reader.assignment()))
    async with admin_client(settings) as client:
        await client.delete_records({tp: RecordsToDelete(before_offset=end) for tp, end in ends.items()})


async def test_a_closed_met_while_resuming_does_not_close(kafka_settings: Settings) -> None:
    async with served(kafka_settings), Log.of(kafka_settings) as log:
        async with Talker.at(kafka_settings) as talker:
            cursor = talker.cursor
            await talker.say("control", action="stop")
            assert await talker.close_code() == 1000
        await log.answer(talker.session, 0, Stopped())
        async with Talker.at(kafka_settings, _resumed(talker, cursor)) as again:
            assert [message["stage"] for message in await again.hear_all(2)] == ["idle", "closed"]
            assert await again.hears_nothing(0.1)


async def test_what_a_resuming_client_says_is_acknowledged_and_comes_behind_the_history(
    kafka_settings: Settings,
) -> None:
    async with served(kafka_settings), Log.of(kafka_settings) as log:
        async with Talker.at(kafka_settings) as talker:
            pass
        for number in range(50):
            await log.answer(talker.session, number, Verdict(kind="not_a_question", reason=str(number)))
        async with Talker.at(kafka_settings, _resumed(talker)) as again:
            await again.chunk("hello", id="c")
            heard: list[Message] = await again.hear_all(51)
        assert sorted(message["type"] for message in heard) == ["ack"] + ["status"] * 50
        assert [m["reason"] for m in heard if m["type"] == "status"] == [str(number) for number in range(50)]


async def test_the_session_needs_no_memory_of_this_process(kafka_settings: Settings) -> None:
    """A gateway that never saw the session shows all of it, given the greeting's cursor."""
    async with served(kafka_settings), Talker.at(kafka_settings) as talker, Log.of(kafka_settings) as log:
        await _write(log, talker.session)
        heard = await talker.hear_all(11)
    async with served(kafka_settings), Talker.at(kafka_settings, _resumed(talker, talker.greeting["cursor"])) as again:
        assert await again.hear_all(11) == heard
