"""What every provider keeps: pieces and then one end, errors of our tree, nothing left open, no key in a message."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from ops.fakes import Fakes, Reply, serving
from ops.ports import free_port
from pipeline.errors import ConfigurationError
from pipeline.providers import Asked, Delta, End, Provider, ProviderError, Turn, build_provider, errors, open_provider
from pipeline.settings import Settings

pytestmark = pytest.mark.contract

KNOWLEDGE = Path(__file__).parent.parent / "data" / "knowledge"
KEY = "sk-secret-1234567890"
QUESTION = Asked("how many days do you keep the backups", lang="en", session_id="s1")

# What is set for each; the fakes' kind of app or format where there are several.
CASES: dict[str, dict[str, object]] = {
    "local": {"rag_provider": "local"},
    "openai": {"rag_provider": "openai"},
    "openai-responses": {"rag_provider": "openai", "openai_api": "responses"},
    "context": {"rag_provider": "context"},
    "dify-chatbot": {"rag_provider": "dify"},
    "dify-chatflow": {"rag_provider": "dify"},
    "dify-agent": {"rag_provider": "dify"},
    "dify-new-agent": {"rag_provider": "dify"},
    "custom-sse": {"rag_provider": "custom"},
    "custom-ndjson": {"rag_provider": "custom"},
    "custom-text": {"rag_provider": "custom"},
    "custom-json": {"rag_provider": "custom"},
    "serper": {"rag_provider": "serper"},
    "chain": {"rag_provider": "openai,local"},
}
KINDS = {name: name.partition("-")[2] for name in CASES if name.startswith(("dify", "custom"))}
STREAMS = [name for name in CASES if name not in ("local", "custom-json", "serper", "chain")]
UNCOUNTED = ("local", "serper")

Open = Callable[..., Awaitable[Provider]]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return Settings(
        knowledge_path=KNOWLEDGE,
        data_path=tmp_path,
        **{f"{name}_api_key": KEY for name in ("openai", "context", "dify", "custom_rag", "serper")},  # type: ignore[arg-type]
    )


class Kinds(Fakes):
    """Fakes whose every reply is of the kind that the case is about."""

    kind = ""

    def reply_to(self, question: str, call: int) -> Reply:
        """As the fakes."""
        return replace(super().reply_to(question, call), kind=self.kind)


def addresses(url: str) -> dict[str, str]:
    """Every server of the settings at one address."""
    bases = {f"{name}_base_url": url for name in ("openai", "dify", "serper")}
    return {**bases, "context_base_url": f"{url}/v1/", "custom_rag_api_url": f"{url}/custom"}


@pytest.fixture
async def scripted() -> Kinds:
    return Kinds()


@pytest.fixture
async def open_named(settings: Settings, scripted: Kinds) -> AsyncIterator[Open]:
    """Opens a provider by name, with its settings pointing at the scripted server."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(scripted))

        async def opened(name: str, **changes: object) -> Provider:
            given = {**addresses(url), **CASES[name], **changes}
            scripted.kind = KINDS.get(name, "")
            provider = await open_provider(replace(settings, **given))  # type: ignore[arg-type]
            stack.push_async_callback(provider.aclose)
            return provider

        yield opened


async def told(provider: Provider, asked: Asked = QUESTION) -> tuple[list[str], End]:
    *pieces, end = [piece async for piece in provider.stream(asked)]
    assert isinstance(end, End)
    return [piece.text for piece in pieces if isinstance(piece, Delta)], end


async def failure(provider: Provider, asked: Asked = QUESTION) -> tuple[list[str], ProviderError]:
    """Pieces until the provider failed, and its error."""
    pieces: list[str] = []
    try:
        async for piece in provider.stream(asked):
            assert isinstance(piece, Delta)
            pieces.append(piece.text)
    except ProviderError as exc:
        return pieces, exc
    raise AssertionError("did not fail")


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
        if name in UNCOUNTED:
            assert end.usage is None
            return
        assert end.usage is not None
        assert end.usage["total_tokens"] == end.usage["prompt_tokens"] + end.usage["completion_tokens"] > 0
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


@pytest.mark.parametrize("name", ["openai", "context"])
class TestChatCompletions:
    async def test_turns_and_options_reach_the_model_and_the_pipelines_own_options_do_not(
        self, open_named: Open, scripted: Fakes, name: str
    ) -> None:
        options = {"model": "big", "temperature": 0, "max_tokens": 50, "priority": 3, "stream": False, "timeout": 4}
        asked = replace(QUESTION, context=(Turn("Is there a backup?", "Yes."),), options=options)
        await told(await open_named(name), asked)
        body = scripted.requests[0].body
        assert [(said["role"], said["content"]) for said in body["messages"][1:]] == [
            ("user", "Is there a backup?"),
            ("assistant", "Yes."),
            ("user", QUESTION.text),
        ]
        assert (body["model"], body["temperature"], body["max_tokens"], body["stream"]) == ("big", 0, 50, True)
        assert not {"priority", "timeout"} & body.keys()
        assert scripted.requests[0].authorization == f"Bearer {KEY}"


@pytest.mark.parametrize("tail", ["", "/", "/v1", "/v1/", "/v1/chat/completions"])
async def test_a_base_url_works_with_and_without_its_version(settings: Settings, scripted: Fakes, tail: str) -> None:
    async with serving(scripted) as url:
        provider = build_provider(replace(settings, rag_provider="openai", openai_base_url=url + tail))
        assert (await told(provider))[0]
        await provider.aclose()
    assert scripted.requests[0].path == "/v1/chat/completions"


async def test_openai_answers_from_the_knowledge_where_an_index_was_made(open_named: Open, scripted: Fakes) -> None:
    await open_named("local")
    _, end = await told(await open_named("openai"))
    assert end.sources[0]["file"] == "en/install.md"
    assert "[1] Installing Harbour > Backup" in scripted.requests[0].body["messages"][0]["content"]


def test_an_unknown_provider_is_refused_with_the_names_that_there_are(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="RAG_PROVIDER='guru'.*context, custom, dify, local, openai, serper"):
        build_provider(replace(settings, rag_provider="guru"))


@pytest.mark.parametrize(
    ("name", "changes", "variable"),
    [
        ("openai", {"openai_api_key": " "}, "OPENAI_API_KEY"),
        ("openai", {"openai_api_key": "sk-1\nX: y"}, "OPENAI_API_KEY"),
        ("openai", {"openai_base_url": "api.example.org"}, "OPENAI_BASE_URL"),
        ("context", {"context_api_key": ""}, "CONTEXT_API_KEY"),
        ("context", {"context_base_url": ""}, "CONTEXT_BASE_URL"),
        ("openai", {"openai_api": "soap"}, "OPENAI_API"),
        ("openai", {"openai_temperature": "warm"}, "OPENAI_TEMPERATURE"),
        ("dify", {"dify_api_key": ""}, "DIFY_API_KEY"),
        ("dify", {"dify_conversation_id": "c1"}, "DIFY_USER"),
        ("custom", {"custom_rag_api_url": ""}, "CUSTOM_RAG_API_URL"),
        ("serper", {"serper_api_key": ""}, "SERPER_API_KEY"),
        ("openai", {"search_provider": "bing"}, "SEARCH_PROVIDER"),
        ("openai", {"search_provider": "serper", "search_routing": "always"}, "SEARCH_ROUTING"),
        ("openai,local,openai", {}, "RAG_PROVIDER"),
        ("none", {}, "RAG_PROVIDER"),
    ],
)
def test_a_setting_that_is_missing_or_unusable_is_named(
    settings: Settings, name: str, changes: dict[str, str], variable: str
) -> None:
    with pytest.raises(ConfigurationError, match=variable) as error:
        build_provider(replace(settings, rag_provider=name, **changes))  # type: ignore[arg-type]
    assert "sk-1" not in str(error.value)


async def test_knowledge_that_cannot_be_read_names_its_setting(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="KNOWLEDGE_PATH"):
        await open_provider(replace(settings, knowledge_path=tmp_path / "nowhere"))
