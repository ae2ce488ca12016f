"""What all tests share: brokers, settings with topics of their own, categories, and what the end of a run says."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from ops.broker.kafka import HOW_TO_GET_ONE
from ops.broker.process import LocalBroker
from ops.broker.tansu import Tansu
from ops.ports import free_port
from pipeline.errors import BrokerError
from pipeline.settings import Settings
from tests import brokers, databases
from tests.brokers import Broker, with_topics

if TYPE_CHECKING:
    from storage.store import Store

hypothesis.settings.register_profile("suite", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("suite")
CATEGORIES = {"unit", "contract", "integration", "e2e"}
_used: dict[str, str] = {}  # name of a broker that tests ran on -> its version


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test module says of which category it is; integration tests get a real Kafka or are skipped by name."""
    for module in {item.getparent(pytest.Module) for item in items} - {None}:
        assert module is not None
        named = [mark.name for mark in module.own_markers if mark.name in CATEGORIES]
        if len(named) != 1:
            wanted = " | ".join(sorted(CATEGORIES))
            raise pytest.UsageError(f"{module.nodeid} must declare one category: pytestmark = pytest.mark.{wanted}")
    for item in items:
        if item.get_closest_marker("integration") and isinstance(item, pytest.Function):
            item.fixturenames.append("kafka") if "own_kafka" not in item.fixturenames else None


def _started(broker: Broker | None) -> Broker:
    """Start a broker for the session; without one the test is skipped, in CI failed."""
    give_up = pytest.fail if brokers.in_ci() else pytest.skip
    if broker is None:
        give_up(brokers.MISSING)
    try:
        asyncio.run(broker.start())
    except BrokerError as exc:
        give_up(f"{brokers.MISSING} ({exc})")
    _used[broker.name] = broker.version
    return broker


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A real Apache Kafka that all tests of a run share."""
    broker = _started(brokers.find_kafka(os.environ, lambda: tmp_path_factory.mktemp("kafka")))
    yield broker
    asyncio.run(broker.stop())


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """A real Apache Kafka that a module may kill, freeze and start again."""
    broker = _started(brokers.own_kafka(lambda: tmp_path_factory.mktemp("kafka")))
    assert isinstance(broker, LocalBroker)
    yield broker
    asyncio.run(broker.stop())


@pytest.fixture(scope="session")
def tansu() -> Iterator[Broker]:
    """The embedded broker."""
    broker = _started(Tansu(free_port()))
    yield broker
    asyncio.run(broker.stop())


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Address of a real PostgreSQL that all tests of a run share; without one the test is skipped, in CI failed."""
    binaries = databases.find_binaries()
    if binaries is None:
        (pytest.fail if brokers.in_ci() else pytest.skip)(databases.MISSING)
    with databases.postgres(binaries) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """As in DATABASE_URL: each test that uses it runs on both."""
    return str(request.getfixturevalue("postgres_url")) if request.param == "postgresql" else ""


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """The database of a test module's `settings`, empty: PostgreSQL is shared by the tests of a run."""
    from storage.store import Store  # a second of start-up that few tests need

    store = Store(settings)
    store.clear()
    yield store
    store.close()


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest) -> Broker:
    """A real Apache Kafka where one can be had, else the embedded broker."""
    real = brokers.find_kafka(os.environ, lambda: Path())
    found: Broker = request.getfixturevalue("kafka" if real or brokers.in_ci() else "tansu")
    return found


@pytest.fixture
async def settings(broker: Broker, tmp_path: Path) -> AsyncIterator[Settings]:
    """Settings with topics and groups of this test alone, on whichever broker there is; 4 partitions a topic."""
    async with with_topics(broker, tmp_path) as settings:
        yield settings


@pytest.fixture
async def kafka_settings(kafka: Broker, tmp_path: Path) -> AsyncIterator[Settings]:
    """Settings with topics and groups of this test alone, on a real Apache Kafka; 4 partitions a topic."""
    async with with_topics(kafka, tmp_path) as settings:
        yield settings


@pytest.fixture
async def own_kafka_settings(own_kafka: LocalBroker, tmp_path: Path) -> AsyncIterator[Settings]:
    """The same on the Kafka that this module may kill."""
    async with with_topics(own_kafka, tmp_path) as settings:
        yield settings


def _names(terminalreporter: Any, outcome: str) -> dict[str, str]:
    reports = terminalreporter.stats.get(outcome, [])
    return {report.nodeid: _reason(report) for report in reports}


def _runs(reports: list[Any]) -> list[Any]:
    """Those of tests themselves, without what came before and after them."""
    return [report for report in reports if getattr(report, "when", "") == "call"]


def _reason(report: Any) -> str:
    if hasattr(report, "wasxfail"):
        return str(report.wasxfail)
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say by name what did not run and on which brokers the rest ran."""
    from ops.contract.table import table  # brings all providers along, which few runs need

    say = terminalreporter.write_line
    skipped, xfailed = _names(terminalreporter, "skipped"), _names(terminalreporter, "xfailed")
    without_kafka = [name for name, reason in skipped.items() if reason.startswith(brokers.MISSING)]
    outcomes = [(report.nodeid, report.outcome) for each in terminalreporter.stats.values() for report in _runs(each)]
    suite = [(name.partition("test_ours_keep_it[")[2][:-1], outcome) for name, outcome in outcomes]
    if terminalreporter.config.option.verbose >= 0 and (lines := table(pair for pair in suite if pair[0])):
        terminalreporter.section("providers")
        say("\n".join(lines))
    terminalreporter.section("what this run stands on")
    say("broker: " + (", ".join(f"{name} {version}" for name, version in _used.items()) or "none needed"))
    for word, group in (("skipped", skipped), ("expected to fail", xfailed)):
        say(f"{word}: {len(group)}")
        for name, reason in group.items():
            if name not in without_kafka:
                say(f"  {name}: {reason}")
    if without_kafka:
        say(f"{len(without_kafka)} tests need a real Apache Kafka ({HOW_TO_GET_ONE}):")
        for name in without_kafka:
            say(f"  {name}")
