"""Why a provider gave no answer, or only a part of one.

    ProviderError               retryable says whether asking again can help
    ├── ConnectFailed           retryable: refused, unreachable, unknown host, TLS
    ├── ProviderTimeout         retryable: no connection, first piece or next piece in time
    ├── RateLimited             retryable: 429; retry_after as the server asked; not where a paid quota is used up
    ├── ProviderUnavailable     retryable: 5xx and 408; retry_after as the server asked
    ├── StreamCut               retryable: the stream ended before the answer did
    ├── MalformedStream         retryable: what came is not the agreed format
    ├── LeftAlone               retryable: not asked, because it failed too often of late; retry_after
    ├── BudgetSpent             not asked, because its tokens of this hour are used up
    ├── AccessDenied            401, 403: key or rights
    ├── RequestRefused          400, 404, 422 …: this request will never work
    └── AnswerFailed            the provider said in the stream that it failed; it decides whether retryable

A message says who failed and what to do; it never holds a key, and what a server said is cut to one short line.
"""

from __future__ import annotations


class ProviderError(Exception):
    """A provider failed.

    `retryable` tells whether the same question may work later, `retry_after` after how many seconds at the earliest,
    where the server said so, and `status` is the HTTP status, where there was one.
    """

    retryable = False

    def __init__(
        self,
        message: str,
        *,
        retryable: bool | None = None,
        retry_after: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.retryable = type(self).retryable if retryable is None else retryable
        self.retry_after = retry_after
        self.status = status


class ConnectFailed(ProviderError):
    """No connection to the provider."""

    retryable = True


class ProviderTimeout(ProviderError):
    """The connection, the first piece or the next piece did not come in time."""

    retryable = True


class RateLimited(ProviderError):
    """Too many requests."""

    retryable = True


class ProviderUnavailable(ProviderError):
    """The provider has a fault of its own."""

    retryable = True


class StreamCut(ProviderError):
    """The stream ended before the answer did."""

    retryable = True


class MalformedStream(ProviderError):
    """What came is not the agreed format."""

    retryable = True


class LeftAlone(ProviderError):
    """The provider was not asked, because it failed too often of late."""

    retryable = True


class BudgetSpent(ProviderError):
    """The provider was not asked, because what it may use in an hour is used up."""


class AccessDenied(ProviderError):
    """The key, or what it may do, was refused."""


class RequestRefused(ProviderError):
    """The provider understood and will not answer this request."""


class AnswerFailed(ProviderError):
    """The provider reported a failure inside a stream that had begun well."""
