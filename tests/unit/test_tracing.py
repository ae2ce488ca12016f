"""Spans of records, and the header that joins them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from ops.telemetry import is_wanted
from pipeline import tracing
from topics.headers import carried
from topics.messages import Done, NotAQuestion

pytestmark = pytest.mark.unit

PARENT = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exporter: InMemorySpanExporter) -> Any:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider.get_tracer("test")


def raw(*headers: tuple[str, bytes | None]) -> Any:
    return SimpleNamespace(topic="t", partition=3, offset=9, headers=list(headers))


def test_a_record_is_processed_in_the_trace_that_its_header_names(tracer: Any, exporter: InMemorySpanExporter) -> None:
    span = tracing.processing(tracer, "questions", "rag-questions", raw(PARENT), "call", "9.4")
    tracing.processed(span, "done")
    [found] = exporter.get_finished_spans()
    assert found.parent is not None and f"{found.parent.span_id:x}" == "b7ad6b7169203331"
    assert found.attributes is not None and found.attributes[tracing.SOURCE] == "9.4"
    [(name, value)] = tracing.headers_of(span)
    assert name == "traceparent" and value is not None and value.startswith(PARENT[1][:36])


@pytest.mark.parametrize("value", [b"", b"00-zz", b"\xff", None])
def test_a_header_that_names_no_trace_begins_one(tracer: Any, value: bytes | None) -> None:
    span = tracing.processing(tracer, "questions", "g", raw(("traceparent", value)), "call", "9.4")
    assert span.parent is None  # type: ignore[attr-defined]


def test_without_a_span_the_headers_of_a_record_go_on_to_what_comes_of_it() -> None:
    assert carried([PARENT, ("rag-epoch", b"1")]) == [PARENT]
    assert carried([PARENT, ("rag-epoch", b"1")], traced=True) == []


async def test_a_record_that_is_not_stored_is_an_error(tracer: Any, exporter: InMemorySpanExporter) -> None:
    async def store() -> int:
        raise OSError("no broker")

    stored = asyncio.create_task(store())
    await asyncio.wait({stored})
    tracing.sent(tracing.sending(tracer, "t", "call", None), stored)
    [found] = exporter.get_finished_spans()
    assert found.status.status_code is StatusCode.ERROR


def test_what_is_not_known_of_an_answer_is_no_attribute() -> None:
    assert tracing.of_answer(Done(attempt=0, index=0, why="expired")) == {tracing.ANSWERED: "expired"}
    assert tracing.of_verdict(NotAQuestion(text="Hm.", score=0.1, reason="")) == {
        tracing.IS_QUESTION: False,
        tracing.SCORE: 0.1,
    }


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_traces_are_on_where_an_endpoint_is_named(environ: dict[str, str], wanted: bool) -> None:
    assert is_wanted(environ) is wanted
