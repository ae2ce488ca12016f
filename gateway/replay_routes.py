"""Replays over HTTP: `POST /api/replays`, and the live answers to compare one with."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from gateway.auth import check_operator, check_origin, principal_of
from gateway.batch import accepted
from gateway.live_answers import live_answers
from gateway.replay_wish import Asked
from gateway.replays import Replays
from pipeline.settings import Settings


def routes(settings: Settings, replays: Replays) -> APIRouter:
    """The calls under `/api/replays`."""
    router = APIRouter(tags=["batch"], prefix="/api/replays")

    @router.post("", status_code=201)
    async def replay(asked: Asked, request: Request, response: Response) -> dict[str, Any]:
        """Answer a range of the live transcripts again as a batch task; with `dry_run` only count it (200)."""
        check_origin(settings, request.headers)
        principal = principal_of(settings, request.headers)
        replays.batch.check_enabled()
        check_operator(settings, principal)
        if asked.dry_run:
            response.status_code = 200
            return await replays.plan(asked)
        return accepted(await replays.begin(asked, principal))

    @router.get("/{run}/live")
    async def live(run: str, request: Request) -> dict[str, Any]:
        """What was answered live to the range of a replay, in the form of its results."""
        check_origin(settings, request.headers)
        principal = principal_of(settings, request.headers)
        replays.batch.check_enabled()
        check_operator(settings, principal)
        return {"results": await live_answers(replays, await replays.batch.get(run, principal))}

    return router
