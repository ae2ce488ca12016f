"""What every provider keeps: pieces and then one end, errors of our tree, nothing left open, no key in a message."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import pytest

from ops.fakes import Fakes, Reply
from ops.ports import free_port
from pipeline.providers import Delta, End, Provider, ProviderError, errors
from tests.provider_cases import (
    CASES,
    KEY,
    QUESTION,
    STREAMS,
    UNCOUNTED,
    Open,
    addresses,
    failure,
    told,
)

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("name", CASES)
class TestEveryProvider:
    async def test_is_one_of_the_protocol_and_says_its_name(self, open_named: Open, name: str) -> None:
        provider = await open_named(name)
        assert isinstance(provider, Provider)
        assert provider.name == CASES[name]["rag_provider"]
        assert (await told(provider))[1].provider == provider.name.partition(",")[0]

    async def test_streams_pieces_that_are_not_empty_and_then_exactly_one_end(
        self, open_named: Open, name: str
    ) -> None:
        answered = [piece async for piece in (await open_named(name)).stream(QUESTION)]
        assert all(isinstance(piece, Delta) and piece.text for piece in answered[:-1])
        assert len(answered) > 1
        assert isinstance(answered[-1], End)
        assert answered[-1].found

    async def test_every_source_has_a_number_and_a_title(self, open_named: Open, name: str) -> None:
        _, end = await told(await open_named(name))
        assert [source["n"] for source in end.sources] == list(range(1, len(end.sources) + 1))
        assert all(source["title"] for source in end.sources)

    async def test_answers_many_at_once_without_mixing_them(self, open_named: Open, name: str) -> None:
        provider = await open_named(name)
        alone = "".join((await told(provider))[0])
        together = await asyncio.gather(*(told(provider) for _ in range(20)))
        assert {"".join(pieces) for pieces, _ in together} == {alone}

    async def test_can_be_closed_after_the_first_piece_and_asked_again(self, open_named: Open, name: str) -> None:
        provider = await open_named(name)
        async with aclosing(provider.stream(QUESTION)) as stream:
            assert isinstance(await anext(stream), Delta)
        assert (await told(provider))[0]

    async def test_usage_has_one_form_and_says_where_it_is_estimated(self, open_named: Open, name: str) -> None:
        _, end = await told(await open_named(name))
        assert end.usage is not None
        assert end.usage["total_tokens"] == end.usage["prompt_tokens"] + end.usage["completion_tokens"]
        assert (end.usage["total_tokens"] == 0) == (name in UNCOUNTED)
        assert bool(end.usage.get("estimated")) == (name == "custom-text")

    async def test_is_healthy(self, open_named: Open, name: str) -> None:
        assert await (await open_named(name)).health() is True


@pytest.mark.parametrize("name", STREAMS)
class TestEveryHttpProvider:
    async def test_an_answer_is_the_text_word_for_word_with_usage(
        self, open_named: Open, scripted: Fakes, name: str
    ) -> None:
        scripted.replies = {"*": [Reply(text='Vierzehn Tage — 十四天, "so"\nit is.', reasoning="Hm, backups.")]}
        pieces, end = await told(await open_named(name))
        assert "".join(pieces) == 'Vierzehn Tage — 十四天, "so"\nit is.'
        assert end.usage is not None
        assert name == "custom-text" or (end.usage["prompt_tokens"], end.usage["total_tokens"]) == (10, 16)

    async def test_a_server_that_leaves_fields_out_is_understood(
        self, open_named: Open, scripted: Fakes, name: str
    ) -> None:
        scripted.replies = {"*": [Reply(text="all the same", bare=True)]}
        pieces, end = await told(await open_named(name))
        assert "".join(pieces) == "all the same"
        assert end.usage is not None
        assert name == "openai-responses" or end.usage["estimated"] is True

    async def test_retry_after_and_status_are_kept(self, open_named: Open, scripted: Fakes, name: str) -> None:
        scripted.replies = {"*": [Reply(status=429, headers={"retry-after": "7"})]}
        _, error = await failure(await open_named(name))
        assert (error.retry_after, error.status) == (7.0, 429)

    async def test_nobody_listening_is_a_connect_failure(self, open_named: Open, name: str) -> None:
        nowhere = f"http://127.0.0.1:{free_port()}"
        provider = await open_named(name, **{where: nowhere for where in addresses("")})
        _, error = await failure(provider)
        assert isinstance(error, errors.ConnectFailed)
        assert "_BASE_URL" in str(error) or "CUSTOM_RAG_API_URL" in str(error)
        assert await provider.health() is False

    async def test_closing_the_stream_closes_the_connection_at_once(
        self, open_named: Open, scripted: Fakes, name: str
    ) -> None:
        scripted.replies = {"*": [Reply(text="word " * 500, delay=0.02)]}
        async with aclosing((await open_named(name)).stream(QUESTION)) as stream:
            await anext(stream)
        closed = time.monotonic()
        await scripted.until(lambda requests: requests[0].outcome == "disconnected")
        assert time.monotonic() - closed < 1
        assert scripted.requests[0].sent < 50

    async def test_cancelling_the_reader_in_a_silence_closes_the_connection(
        self, open_named: Open, scripted: Fakes, name: str
    ) -> None:
        scripted.replies = {"*": [Reply(silence_after=0)]}
        reading = asyncio.create_task(told(await open_named(name)))
        await scripted.until(lambda requests: len(requests) == 1)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert reading.cancelled()
        await scripted.until(lambda requests: requests[0].outcome == "disconnected")

    async def test_the_second_attempt_of_a_question_may_get_another_answer(
        self, open_named: Open, scripted: Fakes, name: str
    ) -> None:
        scripted.replies = {"backups": [Reply(text="a long first answer", cut_after=2), Reply(text="short")]}
        provider = await open_named(name)
        assert (await failure(provider))[0] == ["a ", "long "]
        assert (await told(provider))[0] == ["short"]
        assert [request.call for request in scripted.requests] == [1, 2]


FINAL = {"message": "no", "code": "invalid_param"}
FAILURES: dict[str, tuple[Reply, type[ProviderError], bool, int]] = {
    "401": (Reply(status=401), errors.AccessDenied, False, 0),
    "403": (Reply(status=403), errors.AccessDenied, False, 0),
    "404": (Reply(status=404), errors.RequestRefused, False, 0),
    "400": (Reply(status=400), errors.RequestRefused, False, 0),
    "400 out of quota": (Reply(status=400, code="provider_quota_exceeded"), errors.RateLimited, False, 0),
    "400 model failed": (Reply(status=400, code="completion_request_error"), errors.ProviderUnavailable, True, 0),
    "429": (Reply(status=429), errors.RateLimited, True, 0),
    "429 out of quota": (Reply(status=429, code="insufficient_quota"), errors.RateLimited, False, 0),
    "500": (Reply(status=500), errors.ProviderUnavailable, True, 0),
    "503": (Reply(status=503), errors.ProviderUnavailable, True, 0),
    "another content type": (Reply(content_type="text/html"), errors.MalformedStream, True, 0),
    "garbage": (Reply(garbage_after=1), errors.MalformedStream, True, 1),
    "connection cut at once": (Reply(cut_after=0), errors.StreamCut, True, 0),
    "connection cut": (Reply(cut_after=2), errors.StreamCut, True, 2),
    "end without its mark": (Reply(stop_after=2), errors.StreamCut, True, 2),
    "error in the stream": (Reply(error_after=2), errors.AnswerFailed, True, 2),
    "final error in the stream": (
        Reply(error_after=1, error=FINAL),
        errors.AnswerFailed,
        False,
        1,
    ),
    "empty answer": (Reply(pieces=[]), errors.AnswerFailed, True, 0),
}
LATE = {
    "first piece late": (Reply(first_delay=9), 0),
    "silence": (Reply(silence_after=2, silence=9), 2),
    "silence with pings": (Reply(silence_after=2, silence=9, ping=0.05), 2),
}
TELLING = [
    Reply(status=401, message=f"Incorrect API key provided: {KEY}"),
    Reply(status=400, message=f"bad header Bearer {KEY}"),
    Reply(error_after=0, error={"message": f"key {KEY} is over its quota"}),
]


def fits(name: str, reply: Reply) -> bool:
    """Whether a provider can tell this failure: a server of one's own ends as it likes, and text can say anything."""
    if name == "custom-text" and (reply.garbage_after, reply.error_after) != (None, None):
        return False
    if name.startswith("custom") and (reply.stop_after is not None or "code" in reply.error):
        return False
    return reply.code not in ERROR_CODES or name.startswith(ERROR_CODES[reply.code])


ERROR_CODES = {
    "provider_quota_exceeded": "dify",
    "completion_request_error": "dify",
    "insufficient_quota": "openai",
}


@pytest.mark.parametrize(
    ("name", "reply", "kind", "retryable", "pieces"),
    [
        pytest.param(name, *failing, id=f"{name}|{case}")
        for name in STREAMS
        for case, failing in FAILURES.items()
        if fits(name, failing[0])
    ],
)
async def test_a_failure_has_its_error_and_what_came_before_it_was_given(
    open_named: Open,
    scripted: Fakes,
    name: str,
    reply: Reply,
    kind: type[ProviderError],
    retryable: bool,
    pieces: int,
) -> None:
    scripted.replies = {"*": [reply]}
    provider = await open_named(name)
    got, error = await failure(provider)
    assert (type(error), error.retryable, len(got)) == (kind, retryable, pieces)
    assert provider.name in str(error)


@pytest.mark.parametrize(
    ("name", "reply", "pieces"),
    [
        pytest.param(name, *late, id=f"{name}|{case}")
        for name in ("openai", "openai-responses", "dify-chatbot", "custom-sse")
        for case, late in LATE.items()
    ],
)
async def test_what_comes_too_late_is_a_timeout_and_pings_do_not_put_it_off(
    open_named: Open, scripted: Fakes, name: str, reply: Reply, pieces: int
) -> None:
    scripted.replies = {"*": [reply]}
    provider = await open_named(name, **{f"{kind}_timeout": 0.5 for kind in ("openai", "dify", "custom_rag")})
    got, error = await failure(provider)
    assert (type(error), error.retryable, len(got)) == (errors.ProviderTimeout, True, pieces)


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        pytest.param(name, reply, id=f"{name}|no key in an error ({at})")
        for name in STREAMS
        for at, reply in enumerate(TELLING, start=1)
        if fits(name, reply)
    ],
)
async def test_no_message_holds_the_key(open_named: Open, scripted: Fakes, name: str, reply: Reply) -> None:
    scripted.replies = {"*": [reply]}
    provider = await open_named(name)
    _, error = await failure(provider)
    assert KEY not in f"{error} {error!r} {provider!r} {vars(error)}"
