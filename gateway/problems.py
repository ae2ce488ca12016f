"""What an HTTP caller hears when something is wrong: RFC 9457 problems with a code of the protocol."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"
_CODES = {401: "UNAUTHORIZED", 403: "UNAUTHORIZED", 503: "SERVICE_UNAVAILABLE"}


class Problem(Exception):
    """A refusal: status, code, and one sentence on what is wrong and what to do."""

    def __init__(self, status: int, code: str, detail: str, *, retry_after: int | None = None, **fields: Any) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.fields = status, code, detail, fields
        self.retry_after = retry_after  # seconds

    def response(self) -> Response:
        """The refusal as a response."""
        headers = {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        return Response(msgspec.json.encode(self.body()), self.status, headers, MEDIA_TYPE)

    def body(self) -> dict[str, Any]:
        """The members of the problem."""
        title = HTTPStatus(self.status).phrase
        named = {"title": title, "status": self.status, "code": self.code, "detail": self.detail}
        return {"type": "about:blank", **named, **self.fields}


def install(app: FastAPI) -> None:
    """Give every error of an app this form."""

    async def refuse(request: Request, exc: Exception) -> Response:
        return _problem(exc).response()

    for kind in (Problem, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, refuse)


def _problem(exc: Exception) -> Problem:
    match exc:
        case Problem():
            return exc
        case RequestValidationError():
            errors = [{"field": _path(error["loc"]), "reason": error["msg"]} for error in exc.errors()]
            detail = "; ".join(f"{error['field']}: {error['reason']}" for error in errors)
            return Problem(422, "INVALID_REQUEST", detail, errors=errors)
        case HTTPException():
            return Problem(exc.status_code, _CODES.get(exc.status_code, "INVALID_REQUEST"), str(exc.detail))
    return Problem(500, "SERVER_ERROR", "the gateway failed")


def _path(location: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in location[1:]) or "body"
