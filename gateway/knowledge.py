"""The knowledge over HTTP: searched, and its index brought up to date."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel

from gateway.auth import check_origin, principal_of
from gateway.frames import MAX_TEXT
from gateway.problems import Problem
from pipeline.errors import ConfigurationError
from pipeline.providers import IndexReport, KnowledgeIndex, encoder_of, look_up, open_knowledge, update_knowledge
from pipeline.settings import Settings


class Passage(BaseModel):
    """A stretch of a document; `answers` says whether it is about the question, `lines` are `L3-L5` or `page=3`."""

    n: int
    title: str
    heading: str
    file: str
    lines: str
    score: float
    text: str
    answers: bool


class Found(BaseModel):
    """What the documents hold about a question, best first; `found` says whether any of it answers."""

    query: str
    found: bool
    passages: list[Passage]


def routes(settings: Settings) -> APIRouter:
    """`GET /api/knowledge/search` and `POST /api/knowledge/index`, on the index of this gateway's DATA_PATH."""

    def caller(request: Request) -> None:
        check_origin(settings, request.headers)
        principal_of(settings, request.headers)

    router = APIRouter(prefix="/api/knowledge", tags=["knowledge"], dependencies=[Depends(caller)])
    encoder_of(settings)  # an extra that is missing is told at the start
    opened: list[KnowledgeIndex] = []

    # Not async: the server runs these beside the event loop.
    @router.get("/search")
    def search(
        q: Annotated[str, Query(max_length=MAX_TEXT, description="as somebody would ask it")],
        limit: Annotated[int, Query(ge=1, le=50, description="passages at most")] = 5,
    ) -> Found:
        """Search the documents."""
        if not q.strip():
            raise Problem(422, "EMPTY_QUESTION", "q: is empty")
        try:
            opened[:] = opened or [open_knowledge(settings)]
        except ConfigurationError as exc:
            detail = "there is no index yet: POST /api/knowledge/index, or run `realtime-rag index`"
            raise Problem(409, "NO_KNOWLEDGE", detail) from exc
        passages = [Passage(**found) for found in look_up(opened[0], q, limit)]
        return Found(query=q, found=any(one.answers for one in passages), passages=passages)

    @router.post("/index")
    def bring_up_to_date() -> IndexReport:
        """Read what changed in KNOWLEDGE_PATH into the index; workers on it see it with their next question."""
        try:
            return update_knowledge(settings)
        except ConfigurationError as exc:
            raise Problem(409, "NO_KNOWLEDGE", str(exc)) from exc

    return router
