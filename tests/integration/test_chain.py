"""The three stages on a real Kafka with a real provider server: what a client's view makes of a conversation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from ops.fakes import Reply
from pipeline.settings import Settings
from tests.brokers import Broker, with_topics
from tests.providers import Scripted, scripted_provider, slow
from tests.workers import Told, dead_letters, told_until, working, write
from topics.catalog import ANSWERS, QUESTIONS, SENTENCES, TRANSCRIPTS
from topics.messages import AsrChunk, Control, Endpointing, Record
from topics.sources import Source, public_id

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

LONG = "It takes five working days from the day on which the parcel has reached our warehouse in the north"


class Chain(NamedTuple):
    settings: Settings
    provider: Scripted

    async def hear(self, session: str, *records: Record | str) -> list[int]:
        """Write final chunks and controls of a session."""
        chunks = [AsrChunk(text=record) if isinstance(record, str) else record for record in records]
        return await write(self.settings, TRANSCRIPTS, session, chunks)

    async def told(self, session: str, *stages: str) -> Told:
        """What a client of the session was told once these stages have come, in this order."""
        return await told_until(self.settings, session, *stages)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chain(kafka: Broker, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Chain]:
    """The three stages in one process, shared by the tests of this module, each with sessions of its own."""
    async with (
        with_topics(kafka, tmp_path_factory.mktemp("chain")) as settings,
        scripted_provider() as provider,
        working(settings, "sentences", "questions", "answers", environ=provider.environ),
    ):
        yield Chain(settings, provider)


async def test_a_question_is_answered_in_pieces(chain: Chain) -> None:
    chain.provider.script("refund", Reply(text="It takes five days.", delay=0.05))
    await chain.hear("plain", "Good morning.", "How long does", "a refund take?")
    told = await chain.told("plain", "idle")
    assert told.stages == ["waiting_for_question", "analyzing", "querying_rag", "idle"]
    assert told.indexes == list(range(len(told.answers)))
    assert told.text == "It takes five days."
    assert [answer["final"] for answer in told.answers] == [False] * (len(told.answers) - 1) + [True]


async def test_a_second_question_waits_for_the_first_and_is_never_dropped(chain: Chain) -> None:
    chain.provider.script("parcel", slow("First answer of several words."))
    chain.provider.script("invoice", Reply(text="Second answer."))
    await chain.hear("queue", "Where is my parcel?", "Where is my invoice?")
    told = await chain.told("queue", "idle", "idle")
    assert told.stages == ["analyzing", "querying_rag", "idle", "analyzing", "querying_rag", "idle"]
    assert told.texts == ["First answer of several words.", "Second answer."]


async def test_an_instant_query_withdraws_the_running_and_the_queued_question(chain: Chain) -> None:
    chain.provider.script("winter", slow(LONG))
    chain.provider.script("summer", Reply(text="Never asked."))
    chain.provider.script("spring", Reply(text="In March."))
    first, second = await chain.hear("instant", "What happens in winter?", "What happens in summer?")
    await chain.told("instant", "querying_rag", "answer")
    await chain.hear("instant", "and in spring", Control(action="instant_query"))
    told = await chain.told("instant", "instant_query", "idle")
    assert told.stages == ["analyzing", "querying_rag", "interrupting", "instant_query", "querying_rag", "idle"]
    interrupting = told.messages[told.position("interrupting")]
    assert interrupting["question_ids"] == [
        public_id("instant", Source(first, 23)),
        public_id("instant", Source(second, 23)),
    ]
    after = told.messages[told.position("interrupting") :]
    assert "".join(message["content"] for message in after if message["type"] == "answer") == "In March."
    assert told.messages[told.position("instant_query")]["question"] == "and in spring"
    assert chain.provider.calls("summer") == 0


async def test_an_instant_query_asks_the_latest_text_again_after_it_was_answered(chain: Chain) -> None:
    chain.provider.script("opening hours", Reply(text="From nine."))
    await chain.hear("again", "What are the opening hours?")
    await chain.told("again", "idle")
    await chain.hear("again", Control(action="instant_query"))
    told = await chain.told("again", "idle", "instant_query", "idle")
    assert told.texts == ["From nine.", "From nine."]


async def test_an_instant_query_before_any_final_text_is_told_so(chain: Chain) -> None:
    await chain.hear("early", AsrChunk(text="what is", is_final=False), Control(action="instant_query"))
    told = await chain.told("early", "NO_FINAL_ASR")
    assert [message["code"] for message in told.messages] == ["NO_FINAL_ASR"]


async def test_a_cancel_ends_the_running_answer_and_the_queue_goes_on(chain: Chain) -> None:
    chain.provider.script("mountain", slow(LONG))
    chain.provider.script("river", Reply(text="The Nile."))
    await chain.hear("cancel", "Which is the highest mountain?", "Which is the longest river?")
    running = (await chain.told("cancel", "querying_rag", "answer")).messages[0]["question_id"]
    await chain.hear("cancel", Control(action="cancel", question_id=running))
    told = await chain.told("cancel", "idle", "idle")
    assert told.stages == ["analyzing", "querying_rag", "idle", "analyzing", "querying_rag", "idle"]
    cancelled, answered = told.of(running), told.messages[told.position("idle") + 1 :]
    assert not any(message.get("final") for message in cancelled)
    assert "".join(message.get("content", "") for message in answered) == "The Nile."
    await chain.provider.server.until(
        lambda asked: any(r.outcome == "disconnected" for r in asked if "mountain" in r.question)
    )


async def test_a_cancel_of_a_queued_question_takes_effect_when_its_turn_comes(chain: Chain) -> None:
    chain.provider.script("ocean", slow("The Pacific is the largest of them.", 0.3))
    _, second = await chain.hear("cancel-queued", "Which is the largest ocean?", "Which is the coldest desert?")
    queued = public_id("cancel-queued", Source(second, 28))
    await chain.told("cancel-queued", "answer")
    await chain.hear("cancel-queued", Control(action="cancel", question_id=queued))
    told = await chain.told("cancel-queued", "idle", "idle")
    assert told.stages == ["analyzing", "querying_rag", "idle", "idle"]
    assert chain.provider.calls("desert") == 0


async def test_a_cancel_that_comes_too_late_is_told_idle(chain: Chain) -> None:
    await chain.hear("late", "Is this thing on?")
    question_id = (await chain.told("late", "idle")).messages[0]["question_id"]
    await chain.hear("late", Control(action="cancel", question_id=question_id))
    told = await chain.told("late", "idle", "idle")
    assert told.stages[-2:] == ["idle", "idle"]


async def test_a_cancel_does_not_cut_the_sentence_that_is_being_spoken(chain: Chain) -> None:
    chain.provider.script("train", Reply(text="At noon."))
    await chain.hear("open", "When does", Control(action="cancel"), "the train leave?")
    told = await chain.told("open", "analyzing", "idle")
    assert told.messages[told.position("analyzing")]["question"] == "When does the train leave?"


def being_said(text: str) -> AsrChunk:
    """An interim chunk of a session whose questions start early."""
    return AsrChunk(text=text, is_final=False, endpointing=Endpointing(early_start=True))


async def test_an_early_question_is_being_answered_before_its_final_chunk_which_does_not_ask_again(
    chain: Chain,
) -> None:
    chain.provider.script("voucher", slow(LONG))
    await chain.hear("soon", being_said("How long is"), being_said("How long is a voucher valid?"))
    told = await chain.told("soon", "querying_rag", "answer")
    assert told.messages[0]["early"] and told.messages[0]["question"] == "How long is a voucher valid?"
    await chain.hear("soon", "How long is a voucher valid?", "Where is my parcel?")
    told = await chain.told("soon", "idle", "idle")
    assert told.stages == ["analyzing", "querying_rag", "idle", "analyzing", "querying_rag", "idle"]
    assert told.texts[0] == LONG and chain.provider.calls("voucher") == 1


async def test_an_early_question_is_superseded_by_a_final_chunk_that_asks_something_else(chain: Chain) -> None:
    chain.provider.script("museum", slow(LONG))
    chain.provider.script("museum open on Sunday", Reply(text="At ten."))
    await chain.hear("other", being_said("When does the museum open?"))
    early = (await chain.told("other", "querying_rag", "answer")).messages[0]["question_id"]
    await chain.hear("other", "When does the museum open on Sunday?")
    told = await chain.told("other", "interrupting", "idle")
    assert told.stages == ["analyzing", "querying_rag", "interrupting", "analyzing", "querying_rag", "idle"]
    assert told.messages[told.position("interrupting")]["question_ids"] == [early]
    assert told.messages[told.position("analyzing", 2)]["replaces"] == early
    assert told.texts == ["At ten."]


async def test_an_early_question_ends_where_the_final_chunk_asks_nothing(chain: Chain) -> None:
    chain.provider.script("theatre", slow(LONG))
    await chain.hear("nothing", being_said("Where is the theatre?"))
    early = (await chain.told("nothing", "querying_rag", "answer")).messages[0]["question_id"]
    await chain.hear("nothing", "That is fine.")
    told = await chain.told("nothing", "waiting_for_question", "idle")
    assert told.stages == ["analyzing", "querying_rag", "waiting_for_question", "idle"]
    assert told.messages[-1]["question_id"] == early and told.texts == []


async def test_a_stop_withdraws_everything_and_closes(chain: Chain) -> None:
    chain.provider.script("harbour", slow(LONG))
    await chain.hear("stop", "Who built the harbour?", "Who paid for the lighthouse?")
    await chain.told("stop", "querying_rag", "answer")
    await chain.hear("stop", Control(action="stop"))
    told = await chain.told("stop", "closed")
    assert told.stages == ["analyzing", "querying_rag", "idle", "closed"]
    assert chain.provider.calls("lighthouse") == 0
    await chain.hear("stop", "Does it go on after that?")
    told = await chain.told("stop", "closed", "analyzing", "idle")
    assert told.messages[-1]["stage"] == "idle"


async def test_a_provider_that_fails_before_the_first_piece_is_asked_again_unseen(chain: Chain) -> None:
    chain.provider.script("castle", Reply(status=500), Reply(status=503), Reply(text="In 1283."))
    await chain.hear("retry", "When was the castle built?")
    told = await chain.told("retry", "idle")
    assert told.stages == ["analyzing", "querying_rag", "idle"]
    assert told.text == "In 1283."
    assert chain.provider.calls("castle") == 3


async def test_a_stream_that_breaks_becomes_a_new_attempt_that_replaces_it(chain: Chain) -> None:
    chain.provider.script("bridge", Reply(text=LONG, delay=0.05, cut_after=6), Reply(text="In 1850."))
    await chain.hear("broken", "When was the bridge built?")
    told = await chain.told("broken", "idle")
    assert told.stages == ["analyzing", "querying_rag", "querying_rag", "idle"]
    assert told.messages[told.position("querying_rag", 2)]["note"] == "retrying"
    assert told.text == "In 1850."
    attempts = [answer["attempt"] for answer in told.answers]
    assert attempts == sorted(attempts)
    assert told.indexes == list(range(len(told.indexes)))


async def test_a_provider_that_goes_on_failing_is_an_error_and_the_session_goes_on(chain: Chain) -> None:
    chain.provider.script("tunnel", Reply(status=401, message="bad key"))
    chain.provider.script("canal", Reply(text="In 1914."))
    await chain.hear("failing", "When was the tunnel built?", "When was the canal built?")
    told = await chain.told("failing", "RAG_ERROR", "idle", "idle")
    error = told.messages[told.position("RAG_ERROR")]
    assert error["question_id"] == told.messages[0]["question_id"]
    assert told.texts == ["In 1914."]


@pytest.mark.parametrize("topic", [TRANSCRIPTS, SENTENCES, QUESTIONS], ids=lambda topic: topic.noun)
async def test_bad_bytes_go_to_the_dead_letters_and_the_next_record_is_processed(chain: Chain, topic: Any) -> None:
    session = f"bad-{topic.noun}"
    chain.provider.script("weather", Reply(text="It rains."))
    bad = b'{"type": "asr_chunk", "text": 7, "of": "' + session.encode() + b'"}'
    await write(chain.settings, topic, session, [bad])
    letter = (await dead_letters(chain.settings, bad))[0]
    assert letter.value == bad
    assert letter.headers["rag-origin"].startswith(f"{chain.settings.topic_prefix}.{topic.noun}.v1/")
    assert letter.headers["rag-error"]
    await chain.hear(session, "How is the weather?")
    told = await chain.told(session, "idle")
    assert told.text == "It rains."
    if topic is TRANSCRIPTS:
        assert told.messages[0]["code"] == "SERVER_ERROR"


async def test_bad_bytes_on_the_answers_topic_do_not_stop_its_readers(chain: Chain) -> None:
    chain.provider.script("snow", Reply(text="It melts."))
    await write(chain.settings, ANSWERS, "bad-answers", [b"\xff not a record"])
    await chain.hear("bad-answers", "What about the snow?")
    assert (await chain.told("bad-answers", "idle")).text == "It melts."
