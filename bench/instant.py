"""An OpenAI-compatible server that answers at once, so that what is measured is ours and not a model's.

Questions that hold SLOWLY are answered after SLOW seconds: they keep a lane busy that waits for a model.

Run: python -m bench.instant PORT
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import uvicorn

SLOWLY, SLOW = "(slowly)", 0.25
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

_EVENTS = (
    b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"It was decided "}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{"content":"last week."}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b"data: [DONE]\n\n"
)
_MODELS = b'{"object":"list","data":[{"id":"instant","object":"model"}]}'


async def app(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
    """The same two pieces for every question, as soon as it has been read whole."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    if SLOWLY.encode() in body:
        await asyncio.sleep(SLOW)
    kind, answer = (b"text/event-stream", _EVENTS) if scope["method"] == "POST" else (b"application/json", _MODELS)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": answer})


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), lifespan="off", log_level="warning", loop="uvloop")
