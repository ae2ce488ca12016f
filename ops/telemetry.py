"""Switches traces on where OpenTelemetry's own environment names say where they go."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry import trace

from pipeline.errors import ConfigurationError

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Whether an endpoint is named, and neither the SDK nor traces are switched off.

    >>> is_wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}), is_wanted({})
    (True, False)
    """
    is_off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    return any(environ.get(name) for name in _ENDPOINTS) and not is_off


def switch_on(environ: Mapping[str, str], process: str) -> None:
    """Send the spans of this process to that endpoint, as OTLP over HTTP; does nothing where none is named.

    Sampling, headers and the rest are read from `OTEL_…` by the SDK; without `OTEL_SERVICE_NAME` the service is named
    after the process.

    Raises:
        ConfigurationError: the extra `otel` is not installed.
    """
    if not is_wanted(environ):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as exc:
        wanted = " or ".join(_ENDPOINTS)
        raise ConfigurationError(f"{wanted} asks for traces: pip install 'realtime-rag[otel]', or unset it.") from exc
    named = "OTEL_SERVICE_NAME" in environ or "service.name" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    provider = TracerProvider(resource=Resource.create({} if named else {"service.name": f"realtime-rag-{process}"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
