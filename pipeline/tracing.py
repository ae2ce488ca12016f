"""Traces: a span for each record in each stage, joined from record to record by the header `traceparent`.

Without OpenTelemetry's SDK nothing is made, and what comes of a record has the header that the record came with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context, get_current
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from topics.headers import TRACES, Header
from topics.messages import Done, Question, Record

SESSION = "rag.session.id"
SOURCE = "rag.source"
OUTCOME = "rag.outcome"
ENDED_BY = "rag.sentence.ended_by"
DELAY = "rag.sentence.delay_ms"  # that the stage added
IS_QUESTION = "rag.question.detected"
SCORE = "rag.question.score"
FIRST_PIECE = "gen_ai.response.time_to_first_chunk"  # seconds
ANSWERED = "rag.answer.outcome"  # why the question ended
PROVIDER = "gen_ai.provider.name"
INPUT_TOKENS, OUTPUT_TOKENS = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
_KAFKA = {"messaging.system": "kafka"}
_TOPIC, _PARTITION, _OFFSET = (
    "messaging.destination.name",
    "messaging.destination.partition.id",
    "messaging.kafka.offset",
)
_GROUP, _OPERATION = "messaging.consumer.group.name", "messaging.operation.type"

_propagator = TraceContextTextMapPropagator()


def tracer() -> Tracer | None:
    """Makes spans; None as long as no SDK is switched on."""
    provider = trace.get_tracer_provider()
    idle = isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider)
    return None if idle else provider.get_tracer("realtime-rag")


def parent_in(headers: Iterable[Header]) -> Context | None:
    """Where the headers of a record say that it belongs; None where they say nothing."""
    found = {name: (value or b"").decode("ascii", "replace") for name, value in headers if name in TRACES}
    return _propagator.extract(found) if found else None


def of_request(headers: Mapping[str, str]) -> Context | None:
    """Where what a request asks for belongs: to the span that FastAPI made of it, else where its headers say."""
    if trace.get_current_span().get_span_context().is_valid:
        return get_current()
    return _propagator.extract(headers) if TRACES[0] in headers else None


def headers_of(context: Context | Span | None) -> list[Header]:
    """Headers that make a record part of a trace; none without one."""
    if context is None:
        return []
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, trace.set_span_in_context(context) if isinstance(context, Span) else context)
    return [(name, value.encode()) for name, value in carrier.items()]


def sending(made_by: Tracer, topic: str, session: str, parent: Context | None) -> Span:
    """The span of a record on its way to the broker; `sent` ends it.

    Without a parent a trace begins: a connection would be one of many thousand spans, so it is only linked.
    """
    attributes = {**_KAFKA, _OPERATION: "send", _TOPIC: topic, SESSION: session}
    around = trace.get_current_span().get_span_context()
    links = [Link(around)] if parent is None and around.is_valid else []
    return made_by.start_span(f"send {topic}", parent or Context(), SpanKind.PRODUCER, attributes, links)


def sent(span: Span, stored: asyncio.Task[int]) -> None:
    """It is stored, or not."""
    if stored.cancelled() or stored.exception() is not None:
        span.set_status(StatusCode.ERROR)
    else:
        span.set_attribute(_OFFSET, stored.result())
    span.end()


def processing(made_by: Tracer, stage: str, group: str, raw: Any, session: str, source: object) -> Span:
    """The span of a record (aiokafka ConsumerRecord) in a stage; `processed` ends it."""
    attributes: dict[str, Any] = {_TOPIC: raw.topic, _PARTITION: str(raw.partition), _OFFSET: raw.offset, **_KAFKA}
    attributes |= {_GROUP: group, _OPERATION: "process", SESSION: session, SOURCE: str(source)}
    return made_by.start_span(stage, parent_in(raw.headers), SpanKind.CONSUMER, attributes)


def processed(span: Span, outcome: str) -> None:
    """All that comes of the record is stored."""
    span.set_attribute(OUTCOME, outcome)
    span.end()


def failed(span: Span, reason: str) -> None:
    """The record goes to the dead letters."""
    span.set_status(StatusCode.ERROR, reason)


def sentence(chunk: Span, ended_by: str, delay: float, others: Sequence[Span]) -> Span:
    """A sentence: part of its last chunk, linked with the others that hold any of it; `delay` is in seconds."""
    links = [Link(other.get_span_context()) for other in others]
    attributes: dict[str, Any] = {ENDED_BY: ended_by, DELAY: round(delay * 1000)}
    made_by, within = trace.get_tracer("realtime-rag"), trace.set_span_in_context(chunk)
    span = made_by.start_span("sentence", within, attributes=attributes, links=links)
    span.end()
    return span


def of_verdict(record: Record) -> dict[str, Any]:
    """Attributes that say what was judged."""
    score = getattr(record, "score", None)
    return {} if score is None else {IS_QUESTION: isinstance(record, Question), SCORE: round(score, 4)}


def of_answer(done: Done) -> dict[str, Any]:
    """Attributes that say how a question ended."""
    usage = done.usage or {}
    given = {
        ANSWERED: done.why,
        PROVIDER: done.provider or None,
        FIRST_PIECE: done.timings.get("first_piece"),
        INPUT_TOKENS: usage.get("prompt_tokens"),
        OUTPUT_TOKENS: usage.get("completion_tokens"),
    }
    return {name: value for name, value in given.items() if value is not None}
