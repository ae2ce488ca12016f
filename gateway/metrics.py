"""Figures of the gateway for Prometheus, and the page that shows them."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, generate_latest

from gateway.auth import principal_of
from pipeline.settings import Settings

ws_connections = Gauge("rag_ws_connections", "WebSocket clients being served")
ws_messages = Counter("rag_ws_messages", "WebSocket messages", ["direction"])
ws_refused = Counter("rag_ws_refused", "Upgrades and messages refused, by error code", ["code"])
ws_received, ws_sent = ws_messages.labels("in"), ws_messages.labels("out")


def routes(settings: Settings) -> APIRouter:
    """`/metrics`; where keys are set it wants one, which Prometheus sends as its `authorization` says."""
    router = APIRouter(tags=["health"])

    @router.get("/metrics", response_class=Response)
    async def metrics(request: Request) -> Response:
        """Figures of this gateway process in Prometheus's text format."""
        principal_of(settings, request.headers)
        return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return router
