"""The whole service as processes on a real Kafka, seen by WebSocket clients."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import NamedTuple

import httpx
import pytest

from ops.broker.process import LocalBroker
from ops.fakes import Reply
from ops.ports import free_port
from pipeline.settings import Settings
from tests.client import Client, until_answered, until_ready
from tests.providers import Scripted, scripted_provider, slow
from tests.workers import Worker, running, stored, stored_until, until, working
from topics.catalog import SENTENCES, TRANSCRIPTS

pytestmark = pytest.mark.e2e

LONG = "It takes five working days from the day on which the parcel has reached our warehouse in the north"
STAGES = ("sentences", "questions", "answers")


class Service(NamedTuple):
    settings: Settings
    provider: Scripted
    stack: AsyncExitStack

    async def work(self, *stages: str) -> Worker:
        """Start a worker."""
        return await self.stack.enter_async_context(working(self.settings, *stages, environ=self.provider.environ))

    async def gateway(self) -> Settings:
        """Start one more gateway; gives its settings."""
        return (await self.mortal_gateway())[0]

    async def mortal_gateway(self) -> tuple[Settings, Worker]:
        """One more gateway and its process."""
        settings = dataclasses.replace(self.settings, port=free_port())
        return settings, await self.stack.enter_async_context(running(settings, "gateway"))


@pytest.fixture
async def service(kafka_settings: Settings) -> AsyncIterator[Service]:
    """Nothing started yet but Kafka and a provider."""
    async with AsyncExitStack() as stack:
        yield Service(kafka_settings, await stack.enter_async_context(scripted_provider()), stack)


async def test_a_client_gets_what_the_protocol_says_in_its_order(service: Service) -> None:
    service.provider.script("refund", Reply(text="It takes five days."))
    await service.work(*STAGES)
    at = await service.gateway()
    await until_ready(at)
    async with Client.at(at) as client:
        await client.chunk("Good morning everybody.")
        await client.chunk("How long does a refund take?")
        told = await client.until("idle")
    assert told.stages == ["listening", "waiting_for_question", "analyzing", "querying_rag", "idle"]
    assert told.text == "It takes five days."
    assert client.messages[0]["message"] == "connected"
    sent = [message.get("received_type") or message.get("stage") for message in client.messages]
    assert sent.index("asr_chunk") < sent.index("waiting_for_question")


async def test_a_question_over_http_is_answered_through_the_same_topics(service: Service) -> None:
    service.provider.script("refund", Reply(text="It takes five days."))
    await service.work(*STAGES)
    at = await service.gateway()
    await until_ready(at)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{at.port}", timeout=30) as http:
        asked = await http.post(
            "/api/ask", json={"question": "how long is a refund"}, headers={"accept": "application/json"}
        )
    assert asked.status_code == 200
    assert asked.json()["answer"] == "It takes five days."


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_client_sees_one_answer_when_the_worker_that_gives_it_is_killed(service: Service, workers: int) -> None:
    """The second attempt is another and a shorter text; it replaces the first, announced as retrying."""
    service.provider.script("refund", slow(LONG, 0.3))
    await service.work("sentences", "questions")
    answering = [await service.work("answers") for _ in range(workers)]
    at = await service.gateway()
    await until_ready(at)
    async with Client.at(at) as client:
        await client.chunk("How long does a refund take?")
        await client.until("answer", "answer", "answer")
        service.provider.script("refund", Reply(text="Five days."))
        for worker in answering:
            worker.kill()
        await service.work("answers")
        told = await client.until("idle")
    assert told.stages == ["listening", "analyzing", "querying_rag", "querying_rag", "idle"]
    assert told.messages[told.position("querying_rag", 2)]["note"] == "retrying"
    assert told.texts == ["Five days."]
    assert told.indexes == list(range(len(told.indexes)))


@pytest.mark.parametrize("end", ["the connection is cut", "the gateway is killed"])
async def test_a_client_cut_in_the_middle_goes_on_at_another_gateway(service: Service, end: str) -> None:
    service.provider.script("refund", slow(LONG))
    await service.work(*STAGES)
    (one, mortal), other = await service.mortal_gateway(), await service.gateway()
    await until_ready(one)
    await until_ready(other)
    async with Client.at(one) as client:
        await client.chunk("How long does a refund take?")
        await client.until("answer", "answer", "answer")
        if end == "the gateway is killed":
            mortal.kill()
        await client.cut()
    heard = client.told.messages
    async with Client.at(other, f"?session_id={client.session}&cursor={client.cursor}") as client:
        told = await client.until("idle")
    assert client.messages[0]["resumed"] is True
    rest = [message for message in told.messages if "cursor" in message]
    answers = [message for message in heard + rest if message["type"] == "answer"]
    assert [answer["stream_index"] for answer in answers] == list(range(len(answers)))
    assert "".join(answer["content"] for answer in answers) == LONG
    assert [answer["final"] for answer in answers].count(True) == 1


async def test_a_chunk_stored_by_a_gateway_that_was_killed_before_its_ack_is_heard_once(service: Service) -> None:
    """The client does not know that it was stored and sends it again, with its id, to another gateway."""
    await service.work(*STAGES)
    (one, mortal), other = await service.mortal_gateway(), await service.gateway()
    await until_ready(other)
    await until_answered(one, "/livez")
    async with Client.at(one, "?session_id=call") as client:
        await client.chunk("Good morning everybody.", id="c1")
        await stored_until(service.settings, TRANSCRIPTS, 1)
        mortal.kill()
    async with Client.at(other, "?session_id=call") as client:
        await client.chunk("Good morning everybody.", id="c1")
        await client.until_acks(1)
        await client.chunk("It rains.", id="c2")
        await stored_until(service.settings, SENTENCES, 2)
    assert [found.record.text for found in await stored(service.settings, TRANSCRIPTS)] == [
        "Good morning everybody.",
        "Good morning everybody.",
        "It rains.",
    ]
    sentences = [found.record.text for found in await stored(service.settings, SENTENCES)]
    assert sentences == ["Good morning everybody.", "It rains."]


async def test_nothing_of_a_withdrawn_answer_comes_after_instant_query_cancel_and_stop(service: Service) -> None:
    for word in ("winter", "summer", "autumn"):
        service.provider.script(word, slow(LONG))
    service.provider.script("spring", Reply(text="In March."))
    await service.work(*STAGES)
    at = await service.gateway()
    await until_ready(at)
    async with Client.at(at) as client:
        await client.chunk("What happens in winter?")
        await client.chunk("What happens in summer?")
        await client.until("answer")
        await client.chunk("and in spring")
        await client.control("instant_query")
        told = await client.until("interrupting", "instant_query", "idle")
        after = told.messages[told.position("interrupting") :]
        assert "".join(message["content"] for message in after if message["type"] == "answer") == "In March."

        await client.chunk("What happens in autumn?")
        await client.until("idle", "answer")
        before = len(client.messages)
        await client.control("cancel")
        await client.until("idle", "analyzing", "idle")
        ended = [message for message in client.messages[before:] if message.get("stage") == "idle"]
        tail = client.messages[client.messages.index(ended[-1]) :]
        assert not any(message["type"] == "answer" for message in tail)

        await client.chunk("What happens in winter then?")
        await client.until("idle", "idle", "answer")
        await client.control("stop")
        told = await client.until("closed")
        await client.socket.wait_closed()
        assert told.stages[-2:] == ["idle", "closed"]
        assert client.socket.close_code == 1000
    assert service.provider.calls("summer") == 0


async def test_a_broker_that_goes_and_comes_back(own_kafka: LocalBroker, own_kafka_settings: Settings) -> None:
    """A chunk that is not acknowledged is sent again with its id, and is heard once."""
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(scripted_provider())
        provider.script("refund", Reply(text="It takes five days."))
        service = Service(own_kafka_settings, provider, stack)
        await service.work(*STAGES)
        at = await service.gateway()
        await until_ready(at)
        async with Client.at(at) as client:
            own_kafka.freeze()
            await client.chunk("How long does a refund take?", id="chunk-1")
            await client.until("SERVICE_UNAVAILABLE")
            assert not any("received_type" in message for message in client.messages)
            own_kafka.thaw()
            await say_until_acknowledged(client, "How long does a refund take?", id="chunk-1")
            told = await client.until("idle")
            await client.chunk("That is all.")
            told = await client.until("idle", "waiting_for_question")
    assert told.texts == ["It takes five days."]
    assert told.stages.count("analyzing") == 1


async def test_stages_and_a_gateway_that_start_without_a_broker_go_on_when_it_comes(
    own_kafka: LocalBroker, own_kafka_settings: Settings
) -> None:
    own_kafka.kill()
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(scripted_provider())
        service = Service(own_kafka_settings, provider, stack)
        worker, at = await service.work(*STAGES), await service.gateway()
        await until(lambda: "Waiting for it." in worker.log.read_text())
        checks = await until_answered(at, "/readyz")
        assert checks["status"] == "not ready"
        assert "no answer" in checks["checks"]["broker"]["note"]
        await own_kafka.start()
        await until_ready(at)
        async with Client.at(at) as client:
            await client.chunk("How long does a refund take?")
            await client.until("analyzing", "idle")


async def say_until_acknowledged(client: Client, text: str, **fields: str) -> None:
    """What a careful client does: the same chunk with the same id until there is an ack."""
    for _ in range(20):
        await client.chunk(text, **fields)
        with suppress(TimeoutError):
            return await client.until_acks(1, seconds=3.5)
    raise AssertionError("never acknowledged")
