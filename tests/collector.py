"""An OpenTelemetry collector on loopback that keeps the spans it is sent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Exported(NamedTuple):
    """A span; ids are hexadecimal, `parent` is empty at the root of a trace."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    attributes: Mapping[str, Any]
    links: int


class Collector:
    """Takes OTLP over HTTP."""

    def __init__(self, port: int) -> None:
        self.environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        self.spans: list[Exported] = []

    def take(self, body: bytes) -> None:
        """Keep the spans of a request."""
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            service = _attributes(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self.spans += [_exported(service, span) for span in scope.spans]

    async def until(self, condition: Callable[[list[Exported]], bool], seconds: float = 20.0) -> list[Exported]:
        """Wait until a condition over the spans holds."""
        try:
            async with asyncio.timeout(seconds):
                while not condition(self.spans):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"there only are {[(span.service, span.name) for span in self.spans]}") from None
        return self.spans


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector for the processes that are given its `environ`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802 - the library's name
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(server.server_address[1])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield collector
        server.shutdown()


def _exported(service: str, span: Any) -> Exported:
    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
    return Exported(service, span.name, *ids, _attributes(span.attributes), len(span.links))


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
