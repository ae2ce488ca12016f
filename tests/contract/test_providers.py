"""The contract suite that the package brings along: ours keep it, and who does not is found out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
from typer.testing import CliRunner

from ops.cli import app
from ops.contract import Bound, Place, Subject, cases
from ops.contract.ours import SUBJECTS
from ops.fakes.custom import Custom
from pipeline.providers import Asked, Delta, End, Item, Provider, build_provider
from pipeline.providers.guard import Guarded, Policy
from pipeline.settings import Settings

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("case", [case for subject in SUBJECTS.values() for case in cases(subject)], ids=str)
async def test_ours_keep_it(case: Bound) -> None:
    await case.run()


class Careless(Provider):
    """Yields what a test says."""

    name = "careless"

    def __init__(self, *items: Any, health: bool = True) -> None:
        self.items, self.healthy = items, health

    async def stream(self, asked: Asked) -> AsyncGenerator[Item, None]:
        for item in self.items:
            if isinstance(item, Exception):
                raise item
            yield item

    async def health(self) -> bool:
        return self.healthy


class Mixing(Careless):
    """Keeps what belongs to one answer where all of them see it."""

    said = 0

    async def stream(self, asked: Asked) -> AsyncGenerator[Item, None]:
        self.said += 1
        await asyncio.sleep(0)
        yield Delta(str(self.said))
        yield End()


class Stubborn(Careless):
    """Goes on for a while when nobody listens any more."""

    async def stream(self, asked: Asked) -> AsyncGenerator[Item, None]:
        try:
            yield Delta("so")
            yield End()
        finally:
            await asyncio.sleep(1.5)


def unkept(provider: Provider, only: str = "") -> list[str]:
    """Names of the cases that a provider does not keep, or of one of them."""

    async def opened(_: Place) -> Provider:
        return Guarded(provider, Policy())

    found = []
    for case in cases(Subject("careless", opened, Asked("why"))):
        if only not in ("", case.name):
            continue
        try:
            case.check()
        except Exception:  # noqa: BLE001 - whatever it is, it was found out
            found.append(case.name)
    return found


SAID, MANY = Delta("so"), "answers many at once without mixing them"


@pytest.mark.parametrize(
    ("provider", "case"),
    [
        (Careless(SAID), "streams pieces and then exactly one end"),
        (Careless(SAID, End(), End()), "streams pieces and then exactly one end"),
        (Careless(SAID, End(), Delta("more")), "streams pieces and then exactly one end"),
        (Careless(SAID, Delta(""), End()), "streams pieces and then exactly one end"),
        (Careless(End()), "streams pieces and then exactly one end"),
        (Careless(SAID, End(found=False)), "streams pieces and then exactly one end"),
        (Careless(SAID, End(sources=[{"n": 2, "title": "a"}])), "says its sources by number and title"),
        (Careless(SAID, End(sources=[{"n": 1, "title": ""}])), "says its sources by number and title"),
        (Careless(SAID, End(provider="somebody")), "is a provider and says its name"),
        (
            Careless(SAID, End(usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 9})),
            "says its usage in one form",
        ),
        (Careless(SAID, End(sources=[{"n": 1, "title": "a", "at": {1}}])), "says nothing that cannot be stored"),
        (Careless(SAID, KeyError("text")), "streams pieces and then exactly one end"),
        (Careless(SAID, End(), health=False), "is healthy"),
        (Mixing(), MANY),
        (Stubborn(), "can be closed in the middle and asked again"),
    ],
)
def test_who_does_not_keep_it_is_found_out(provider: Provider, case: str) -> None:
    assert unkept(provider, only=case) == [case]


def test_who_keeps_it_passes() -> None:
    assert unkept(Careless(SAID, End(sources=[{"n": 1, "title": "a"}]))) == []


@pytest.mark.parametrize("name", ["gives the text word for word", "500", "connection cut"])
def test_a_provider_of_a_server_of_ones_own_is_run_on_a_fake_of_it(name: str) -> None:
    async def opened(place: Place) -> Provider:
        given: Any = {"rag_provider": "custom", "custom_rag_api_url": f"{place.url}/answers"}
        return build_provider(Settings(**given))

    subject = Subject("mine", opened, Asked("why"), provider="custom", dialects={"/answers": Custom()})
    [case] = [case for case in cases(subject) if case.name == name]
    case.check()


def run(*words: str) -> tuple[int, Sequence[str]]:
    done = CliRunner().invoke(app, ["providers", "check", *words])
    return done.exit_code, done.output.splitlines()


def test_the_command_prints_a_table_of_the_named_ones() -> None:
    code, lines = run("local", "serper")
    assert code == 0
    assert lines[0].split() == ["case", "local", "serper"]
    assert lines[-1] == "All of it is kept."
    assert lines[1].split()[-2:] == ["+", "+"]


def test_the_command_refuses_who_is_not_installed() -> None:
    done = CliRunner().invoke(app, ["providers", "check", "guru"])
    assert "RAG_PROVIDER='guru' is no provider" in str(done.exception)
