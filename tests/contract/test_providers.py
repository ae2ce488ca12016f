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

Open = Callable[..., Awaitable[Provider]]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return Settings(
        knowledge_path=KNOWLEDGE,
        data_path=tmp_path,
        openai_api_key=KEY,
        openai_timeout=5.0,
        context_api_key=KEY,
        context_timeout=5.0,
    )


@pytest.fixture
async def scripted() -> Fakes:
    return Fakes()


@pytest.fixture
async def open_named(settings: Settings, scripted: Fakes) -> AsyncIterator[Open]:
    """Opens a provider by name, with its settings pointing at the scripted server."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(scripted))

        async def opened(name: str, **changes: object) -> Provider:
            given = {"rag_provider": name, "openai_base_url": url, "context_base_url": f"{url}/v1/", **changes}
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


@pytest.mark.parametrize("name", ["local", "openai", "context"])
class TestEveryProvider:
    async def test_is_one_of_the_protocol_and_says_its_name(self, open_named: Open, name: str) -> None:
        provider = await open_named(name)
        assert isinstance(provider, Provider)
        assert provider.name == name

    async def test_streams_pieces_that_are_not_empty_and_then_exactly_one_end(
        self, open_named: Open, name: str
    ) -> None:
        answered = [piece async for piece in (await open_named(name)).stream(QUESTION)]
        assert all(isinstance(piece, Delta) and piece.text for piece in answered[:-1])
        assert len(answered) > 2
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

    async def test_is_healthy(self, open_named: Open, name: str) -> None:
        assert await (await open_named(name)).health() is True


@pytest.mark.parametrize("name", ["openai", "context"])
class TestEveryHttpProvider:
    async def test_an_answer_is_the_text_word_for_word_with_usage(
        self, open_named: Open, scripted: Fakes, name: str
    ) -> None:
        scripted.replies = {"*": [Reply(text='Vierzehn Tage — 十四天, "so"\nit is.', reasoning="Hm, backups.")]}
        pieces, end = await told(await open_named(name))
        assert "".join(pieces) == 'Vierzehn Tage — 十四天, "so"\nit is.'
        assert end.usage == {"prompt_tokens": 10, "completion_tokens": 6, "total_tokens": 16}

    async def test_a_server_that_leaves_fields_out_is_understood(
        self, open_named: Open, scripted: Fakes, name: str
    ) -> None:
        scripted.replies = {"*": [Reply(text="all the same", bare=True)]}
        pieces, end = await told(await open_named(name))
        assert ("".join(pieces), end.usage) == ("all the same", None)

    @pytest.mark.parametrize(
        ("reply", "kind", "retryable", "pieces"),
        [
            (Reply(status=401), errors.AccessDenied, False, 0),
            (Reply(status=403), errors.AccessDenied, False, 0),
            (Reply(status=404), errors.RequestRefused, False, 0),
            (Reply(status=400), errors.RequestRefused, False, 0),
            (Reply(status=429), errors.RateLimited, True, 0),
            (Reply(status=500), errors.ProviderUnavailable, True, 0),
            (Reply(status=503), errors.ProviderUnavailable, True, 0),
            (Reply(content_type="text/html"), errors.MalformedStream, True, 0),
            (Reply(garbage_after=1), errors.MalformedStream, True, 1),
            (Reply(cut_after=0), errors.StreamCut, True, 0),
            (Reply(cut_after=2), errors.StreamCut, True, 2),
            (Reply(stop_after=2), errors.StreamCut, True, 2),
            (Reply(error_after=2), errors.AnswerFailed, True, 2),
            (Reply(error_after=1, error={"message": "no", "type": "invalid_request"}), errors.AnswerFailed, False, 1),
            (Reply(pieces=[]), errors.AnswerFailed, True, 0),
            (Reply(first_delay=9), errors.ProviderTimeout, True, 0),
            (Reply(silence_after=2, silence=9), errors.ProviderTimeout, True, 2),
            (Reply(silence_after=2, silence=9, ping=0.05), errors.ProviderTimeout, True, 2),
        ],
        ids=lambda value: str(value)[:1] if isinstance(value, int) else getattr(value, "__name__", None),
    )
    async def test_a_failure_has_its_error_and_what_came_before_it_was_given(
        self,
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
        got, error = await failure(provider, replace(QUESTION, options={"timeout": 0.3}))
        assert (type(error), error.retryable, len(got)) == (kind, retryable, pieces)
        assert name in str(error)

    async def test_retry_after_and_status_are_kept(self, open_named: Open, scripted: Fakes, name: str) -> None:
        scripted.replies = {"*": [Reply(status=429, headers={"retry-after": "7"})]}
        _, error = await failure(await open_named(name))
        assert (error.retry_after, error.status) == (7.0, 429)

    async def test_nobody_listening_is_a_connect_failure(self, open_named: Open, name: str) -> None:
        nowhere = f"http://127.0.0.1:{free_port()}"
        provider = await open_named(name, openai_base_url=nowhere, context_base_url=nowhere)
        _, error = await failure(provider)
        assert isinstance(error, errors.ConnectFailed)
        assert f"{name.upper()}_BASE_URL" in str(error)
        assert await provider.health() is False

    @pytest.mark.parametrize(
        "reply",
        [
            Reply(status=401, message=f"Incorrect API key provided: {KEY}"),
            Reply(status=400, message=f"bad header Bearer {KEY}"),
            Reply(error_after=0, error={"message": f"key {KEY} is over its quota"}),
        ],
    )
    async def test_no_message_holds_the_key(self, open_named: Open, scripted: Fakes, name: str, reply: Reply) -> None:
        scripted.replies = {"*": [reply]}
        provider = await open_named(name)
        _, error = await failure(provider)
        assert KEY not in f"{error} {error!r} {provider!r} {vars(error)}"

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
    with pytest.raises(ConfigurationError, match="RAG_PROVIDER='guru'.*context, local, openai"):
        build_provider(replace(settings, rag_provider="guru"))


@pytest.mark.parametrize(
    ("name", "changes", "variable"),
    [
        ("openai", {"openai_api_key": " "}, "OPENAI_API_KEY"),
        ("openai", {"openai_api_key": "sk-1\nX: y"}, "OPENAI_API_KEY"),
        ("openai", {"openai_base_url": "api.example.org"}, "OPENAI_BASE_URL"),
        ("context", {"context_api_key": ""}, "CONTEXT_API_KEY"),
        ("context", {"context_base_url": ""}, "CONTEXT_BASE_URL"),
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
