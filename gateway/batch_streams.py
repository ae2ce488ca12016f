"""Streams of one batch task: all its results as a file, and its progress as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import msgspec
from fastapi import APIRouter, Depends, Response
from fastapi.responses import StreamingResponse

from gateway.batch import Batch
from gateway.exports import MEDIA_TYPES, ExportFormat, written
from pipeline.batches import Task

PAGE = 1000  # results in memory
INTERVAL = 0.25  # seconds between two events of a task
PING = 15.0  # seconds without a change after which a comment keeps the connection open


def progress_of(task: Task) -> dict[str, Any]:
    """What is told of a task on each change."""
    progress, status = task.progress(), task.status
    done = progress["completed"] + progress["failed"]
    message = task.error or f"{done} of {progress['total']} items done"
    told = {"type": "batch_progress", "task_id": task.id, "progress": progress, "percentage": progress["percentage"]}
    return told | {"status": status, "paused": task.is_paused, "message": message}


def routes(batch: Batch, caller: Callable[..., str]) -> APIRouter:
    """`/export` and `/events` of a task; `caller` says who asks."""
    router = APIRouter(tags=["batch"], prefix="/tasks")

    @router.get("/{task_id}/export", response_model=None)
    async def export(task_id: str, principal: str = Depends(caller), format: ExportFormat = "jsonl") -> Response:
        """Every result, also of a task that runs: JSON lines, CSV, or Parquet where the gateway can write it."""
        task = await batch.get(task_id, principal)
        named = {"Content-Disposition": f'attachment; filename="{task_id}.{format}"'}
        return StreamingResponse(written(format, _pages(batch, task)), media_type=MEDIA_TYPES[format], headers=named)

    @router.get("/{task_id}/events", response_model=None)
    async def events(task_id: str, principal: str = Depends(caller)) -> Response:
        """Server-sent events: `batch_progress` now and on each change until the task has ended."""
        await batch.get(task_id, principal)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_events(batch, task_id), headers=headers, media_type="text/event-stream")

    return router


async def _pages(batch: Batch, task: Task) -> AsyncIterator[list[dict[str, Any]]]:
    number = 1
    while results := (await batch.found(task, number, PAGE))["results"]:
        yield results
        number += 1


async def changes(batch: Batch, name: str) -> AsyncGenerator[dict[str, Any], None]:
    """What there is to tell of a task now and on each change, at most four times a second, up to its end."""
    told: dict[str, Any] | None = None
    while (task := batch.tasks.board.get(name)) is not None:
        if (now := progress_of(task)) != told:
            yield now
            told = now
        if task.has_ended:
            return
        await asyncio.sleep(INTERVAL)


async def _events(batch: Batch, name: str) -> AsyncIterator[bytes]:
    stream = changes(batch, name)
    upcoming = asyncio.ensure_future(anext(stream))
    try:
        while True:
            await asyncio.wait({upcoming}, timeout=PING)
            if not upcoming.done():
                yield b": still there\n\n"
                continue
            try:
                told = upcoming.result()
            except StopAsyncIteration:
                return
            yield b"event: batch_progress\ndata: " + msgspec.json.encode(told) + b"\n\n"
            upcoming = asyncio.ensure_future(anext(stream))
    finally:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)
        await stream.aclose()
