"""Batch tasks over HTTP: the calls under `/api/batch`."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request
from pydantic import ValidationError

from gateway import batch_streams
from gateway.auth import check_origin, principal_of
from gateway.batch import Batch, Options, Submission, Upload, accepted, shown
from gateway.problems import Problem
from gateway.writing import parsed
from pipeline.batches import Status
from pipeline.settings import Settings
from pipeline.texts import Format, Texts
from topics.tasks import TaskCancelled, TaskPaused

Number = Annotated[int, Query(ge=1)]
Size = Annotated[int, Query(ge=1, le=1000)]


def routes(settings: Settings, batch: Batch) -> APIRouter:
    """The calls under `/api/batch`."""

    def caller(request: Request) -> str:
        check_origin(settings, request.headers)
        principal = principal_of(settings, request.headers)
        batch.check_enabled()
        return principal

    router = APIRouter(tags=["batch"], prefix="/api/batch")
    router.include_router(batch_streams.routes(batch, caller))

    @router.post("/tasks", status_code=201)
    async def submit(
        asked: Submission,
        principal: str = Depends(caller),
        idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
    ) -> dict[str, Any]:
        """Submit texts; they are answered in the background. Safe to repeat with an `Idempotency-Key`."""
        task = await batch.submit(asked, principal, idempotency_key)
        return accepted(task)

    @router.post("/uploads", status_code=201)
    async def upload(
        request: Request,
        principal: str = Depends(caller),
        name: Annotated[str, Query(min_length=1, max_length=100)] = "upload",
        description: Annotated[str, Query(max_length=500)] = "",
        options: Annotated[str, Query(description="as of a task, in JSON")] = "{}",
        format: Format = "text",
    ) -> dict[str, Any]:
        """Submit a body of any size: JSON lines, CSV with a column `text`, or one text a line. 201 at its end."""
        try:
            asked = Upload(name=name, description=description, options=Options.model_validate_json(options))
        except ValidationError as exc:
            raise Problem(422, "INVALID_REQUEST", f"options: {exc.errors()[0]['msg']}") from exc
        task = await batch.upload(asked, principal, parsed(Texts(format), request.stream()))
        return accepted(task)

    @router.get("/tasks")
    async def tasks(
        principal: str = Depends(caller), status: Status | None = None, page: Number = 1, size: Size = 100
    ) -> dict[str, Any]:
        """Your tasks, newest first."""
        found = batch.listed(principal, status)
        some = found[(page - 1) * size : page * size]
        return {"tasks": [shown(task) for task in some], "total": len(found), "page": page, "size": size}

    @router.get("/tasks/{task_id}")
    async def task(task_id: str, principal: str = Depends(caller)) -> dict[str, Any]:
        """One task."""
        return shown(await batch.get(task_id, principal))

    @router.get("/tasks/{task_id}/results")
    async def results(
        task_id: str, principal: str = Depends(caller), page: Number = 1, size: Size = 100
    ) -> dict[str, Any]:
        """Results in the order of the texts, also while the task runs."""
        return await batch.found(await batch.get(task_id, principal), page, size)

    @router.post("/tasks/{task_id}/{action}")
    async def hold(
        task_id: str, action: Literal["pause", "resume"], principal: str = Depends(caller)
    ) -> dict[str, Any]:
        """Begin no item until `resume`; what runs is finished."""
        record = TaskPaused(paused=action == "pause", at=time.time())
        return shown(await batch.change(task_id, principal, record))

    @router.delete("/tasks/{task_id}")
    async def cancel(task_id: str, principal: str = Depends(caller)) -> dict[str, Any]:
        """Stop what runs and start nothing more; results that are there stay."""
        task = await batch.change(task_id, principal, TaskCancelled(at=time.time()))
        completed, failed = task.counts
        message = f"cancelled with {completed + failed} of {task.progress()['total']} items done"
        return {"task_id": task_id, "status": task.status, "message": message}

    @router.get("/runs/{run:path}/results")
    async def run_results(
        run: str, principal: str = Depends(caller), page: Number = 1, size: Size = 100
    ) -> dict[str, Any]:
        """Results of records that belong to no task: of the sessions `run/…`, or of the session `run`."""
        if batch.tasks.board.get(run) is not None:
            await batch.get(run, principal)
        found, total = await batch.results.answers(run, (page - 1) * size, size)
        return {"run": run, "results": found, "total": total, "page": page, "size": size}

    @router.get("/status")
    async def status(principal: str = Depends(caller)) -> dict[str, Any]:
        """How full the queue is."""
        return batch.state()

    return router
