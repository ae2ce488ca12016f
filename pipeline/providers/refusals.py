"""What an HTTP status means: the error for an answer that is none, with what the server said and when to come again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from pipeline.providers.errors import (
    AccessDenied,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRefused,
)

# Of 429 and 400: more is asked for than was paid for. Waiting some seconds does not help.
QUOTA = frozenset({"insufficient_quota", "rate_limit_error", "provider_quota_exceeded", "billing_hard_limit_reached"})

# Of Dify's 400: the model behind the app failed, as it does when it has too much to do.
PASSING = frozenset({"completion_request_error"})


def refusal(who: str, key_name: str, status: int, said: str, code: str, after: float | None) -> ProviderError:
    """The error for a status other than 200.

    Args:
        who: name and address of the provider, for the message.
        key_name: environment name of its key.
        status: HTTP status.
        said: the server's own words, cleaned, or an empty text.
        code: the code that it gave beside them, or an empty text.
        after: seconds of its Retry-After.
    """
    if status in (401, 403):
        return AccessDenied(f"{who} refused the key ({status}): check {key_name}.", status=status)
    message = f"{who} answered {status}" + (f": {said}" if said else ".")
    if status == 429 or code in QUOTA:
        return RateLimited(message, retryable=code not in QUOTA, retry_after=after, status=status)
    if status >= 500 or status in (408, 425) or code in PASSING:
        return ProviderUnavailable(message, retry_after=after, status=status)
    return RequestRefused(message, status=status)


def words_of(body: bytes) -> tuple[str, str]:
    """Message and code of an error body, whichever of the usual forms it has.

    >>> words_of(b'{"error": {"message": "no such model", "code": "model_not_found"}}')
    ('no such model', 'model_not_found')
    >>> words_of(b'{"code": "not_found", "message": "Conversation Not Exists.", "status": 404}')
    ('Conversation Not Exists.', 'not_found')
    >>> words_of(b'{"error": "busy"}'), words_of(b"<html>")
    (('busy', ''), ('', ''))
    """
    try:
        answer: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "", ""
    error = answer.get("error", answer) if isinstance(answer, dict) else None
    fields = error if isinstance(error, dict) else {"message": error}
    message, code = fields.get("message") or fields.get("detail"), fields.get("code")
    return (message if isinstance(message, str) else ""), (code if isinstance(code, str) else "")


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds that a server asks us to wait; both forms of `Retry-After` (RFC 9110 §10.2.3).

    >>> retry_after({"retry-after": "2.5"})
    2.5
    >>> retry_after({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"}, now=50.0)
    10.0
    """
    text = headers.get("retry-after", "")
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - (time.time() if now is None else now))
    except ValueError:
        return None
