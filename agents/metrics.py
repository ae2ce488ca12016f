"""Figures of the stages for Prometheus, and the page on which a stage process shows them.

What changes with every record is a plain number of the stage, read when somebody asks: an increment of a Prometheus
counter costs a tenth of what the record itself costs. The rest are counters and histograms of the client library.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.errors import ConfigurationError
from pipeline.settings import Settings
from topics.messages import AnswerRecord, Begin, Done, NotAQuestion, Question, Record, Stopped

Outcome = Literal["done", "failed", "duplicate", "void"]

_FAST = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)  # seconds
_SLOW = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)

dead_letters = Counter("rag_dead_letters", "Records written to the dead letters", ["stage"])
takeovers = Counter("rag_takeovers", "Partitions that a worker began to take over", ["stage"])
takeover_seconds = Histogram(
    "rag_takeover_seconds", "From the assignment of a partition until it is fed", ["stage"], buckets=_FAST
)
handler_seconds = Histogram("rag_handler_seconds", "A record on the lane of its session", ["stage"], buckets=_SLOW)
batch_seconds = Histogram("rag_batch_seconds", "The fetched records of one partition, taken", ["stage"], buckets=_FAST)
questions = Counter("rag_questions", "Questions by how they ended", ["outcome"])
early_questions = Counter("rag_early_questions", "Questions out of interim chunks, and what became of them", ["what"])
question_checks = Counter("rag_question_checks", "Unsure sentences that a provider was asked about", ["outcome"])
provider_retries = Counter("rag_provider_retries", "Questions asked again because the provider failed")
sentence_wait_seconds = Histogram(
    "rag_sentence_wait_seconds",
    "From the last chunk of a sentence until it was known to end",
    ["ended_by"],
    buckets=_SLOW,
)
first_piece_seconds = Histogram("rag_first_piece_seconds", "From asking the provider to its first piece", buckets=_SLOW)


def count_answer(record: AnswerRecord) -> None:
    """Count the ends of questions that a stored answers record says."""
    match record:
        case Done(why=why, timings=timings):
            questions.labels(why).inc()
            if (waited := timings.get("first_piece")) is not None:
                first_piece_seconds.observe(waited)
        case Begin(withdrawn=withdrawn) | Stopped(withdrawn=withdrawn) if withdrawn:
            questions.labels("interrupted").inc(len(withdrawn))


def count_early(record: Record) -> None:
    """Count early questions, and what the verdicts on their final sentences say of them."""
    if isinstance(record, Question) and record.early:
        early_questions.labels("asked").inc()
    elif isinstance(record, Question) and record.confirms:
        early_questions.labels("confirmed").inc()
    elif isinstance(record, Question | NotAQuestion) and record.replaces:
        early_questions.labels("taken_back").inc()


class StageCollector(Collector):
    """What running stages know anyway: their records by outcome, and how far behind the log they are."""

    def __init__(self, apps: Sequence[Any]) -> None:
        self._apps = apps

    def collect(self) -> Iterator[Metric]:
        """Called by Prometheus's client for each page."""
        records = CounterMetricFamily("rag_records", "Input records by their outcome", labels=["stage", "outcome"])
        lag = GaugeMetricFamily(
            "rag_consumer_lag", "Records between the committed position and the end", labels=["stage", "partition"]
        )
        for app in self._apps:
            name = app.stage.logic.name
            for outcome, count in app.stage.counts.items():
                records.add_metric([name, outcome], count)
            for partition, behind in sorted(_lags(app.consumer)):
                lag.add_metric([name, str(partition)], behind)
        yield records
        yield lag
        yield from _providers(self._apps)


def provider_states(apps: Sequence[Any]) -> dict[str, str]:
    """The providers of these stages and how it stands with each; see `Guarded.state`."""
    return {guard.name: guard.state() for app in apps for guard in _guards(app)}


def _guards(app: Any) -> Sequence[Any]:
    """Those whom its stage has asked or may ask."""
    return list(getattr(app.stage.logic, "known", {}).values())


def _providers(apps: Sequence[Any]) -> Iterator[Metric]:
    answers = CounterMetricFamily("rag_provider_answers", "Answers by provider", labels=["provider", "outcome"])
    state = GaugeMetricFamily("rag_provider_state", "1 at the state that it is in", labels=["provider", "state"])
    tokens = GaugeMetricFamily("rag_provider_tokens", "Tokens used in the last hour", labels=["provider"])
    cost = GaugeMetricFamily("rag_provider_cost", "Money spent in the last hour, by the prices", labels=["provider"])
    for app in apps:
        for guard in _guards(app):
            for outcome, count in guard.outcomes.items():
                answers.add_metric([guard.name, outcome], count)
            for name in ("closed", "open", "half-open", "spent"):
                state.add_metric([guard.name, name], guard.state() == name)
            tokens.add_metric([guard.name], guard.account.tokens.spent)
            cost.add_metric([guard.name], guard.account.cost.spent)
    yield from (answers, state, tokens, cost)


def _lags(consumer: Any) -> Iterator[tuple[int, int]]:
    for tp, assignment in list(consumer.assignments.items()):
        with suppress(AssertionError):  # of aiokafka: the partition was taken away this very moment
            end, (committed, _) = consumer.highwater(tp), assignment.committed
            if assignment.ready and end is not None:
                yield tp.partition, max(0, end - (assignment.progress.start if committed is None else committed))


@asynccontextmanager
async def page(apps: Sequence[Any], settings: Settings) -> AsyncIterator[None]:
    """Serve `/metrics` and `/livez` on STAGE_PORT, from the event loop: a blocked one does not look alive.

    Raises:
        ConfigurationError: the port cannot be had.
    """
    if not settings.stage_port:
        yield
        return
    from aiohttp import web

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def livez(_: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def health(_: web.Request) -> web.Response:
        states = provider_states(apps)
        works = not states or any(state in ("closed", "half-open") for state in states.values())
        return web.json_response({"status": "healthy" if works else "degraded", "providers": states})

    site = web.Application()
    site.add_routes([web.get("/metrics", metrics), web.get("/livez", livez), web.get("/health", health)])
    runner = web.AppRunner(site, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.stage_port).start()
    except OSError as exc:
        await runner.cleanup()
        where = f"STAGE_PORT={settings.stage_port} on HOST={settings.host}"
        raise ConfigurationError(f"{where} cannot be had ({exc.strerror}): stop who has it or choose another.") from exc
    collector = StageCollector(apps)
    REGISTRY.register(collector)
    try:
        yield
    finally:
        REGISTRY.unregister(collector)
        await runner.cleanup()
