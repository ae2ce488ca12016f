"""Streams of one batch task: all its results as a file, and its progress as server-sent events."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Response
from fastapi.responses import StreamingResponse

from gateway.batch import Batch
from pipeline.batches import Task

PAGE = 1000  # results in memory
INTERVAL = 0.25  # seconds between two events of a task
PING = 15.0  # seconds without a change after which a comment keeps the connection open
COLUMNS = ("index", "status", "text", "content", "error", "sources", "usage", "answers")
ExportFormat = Literal["jsonl", "csv"]


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
        """Every result, also of a task that runs: JSON lines or CSV."""
        task = await batch.get(task_id, principal)
        kind = "text/csv; charset=utf-8" if format == "csv" else "application/jsonl"
        named = {"Content-Disposition": f'attachment; filename="{task_id}.{format}"'}
        lines = _csv(_pages(batch, task)) if format == "csv" else _json_lines(_pages(batch, task))
        return StreamingResponse(lines, media_type=kind, headers=named)

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


async def _json_lines(pages: AsyncIterator[list[dict[str, Any]]]) -> AsyncIterator[bytes]:
    async for results in pages:
        yield b"".join(msgspec.json.encode(result) + b"\n" for result in results)


async def _csv(pages: AsyncIterator[list[dict[str, Any]]]) -> AsyncIterator[bytes]:
    """What is no text stands in its cell as JSON."""
    yield (",".join(COLUMNS) + "\r\n").encode()
    async for results in pages:
        page = io.StringIO()
        csv.writer(page).writerows([_cell(result.get(name)) for name in COLUMNS] for result in results)
        yield page.getvalue().encode()


def _cell(value: Any) -> Any:
    return msgspec.json.encode(value).decode() if isinstance(value, list | dict) else value


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
