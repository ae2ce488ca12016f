"""How a server can fail: for each way what comes before it, which error it is and whether another try may help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ops.contract.subjects import Stand, keep
from ops.fakes import Reply
from pipeline.providers import errors

PATIENCE = 0.5  # seconds that a provider waits for an event, where lateness is the case


@dataclass(frozen=True)
class Failure:
    """A way to fail, and what a provider makes of it."""

    reply: Reply
    kind: type[errors.ProviderError]
    retryable: bool = False
    pieces: int = 0  # that came before it

    async def __call__(self, stand: Stand) -> None:
        """See that the provider says so."""
        stand.fakes.replies = {"*": [self.reply]}
        late = self.kind is errors.ProviderTimeout
        provider = await stand.open(replace(stand.place, timeout=PATIENCE) if late else None)
        pieces, error = await stand.failure(provider)
        found = (type(error).__name__, error.retryable, len(pieces))
        wanted = (self.kind.__name__, self.retryable, self.pieces)
        keep(found == wanted, f"kind, retryable and pieces before it are {found}, not {wanted}: {error}")
        keep(provider.name in str(error), f"it does not say who failed: {error}")


_FINAL = {"message": "no", "code": "invalid_param"}
FAILURES: Mapping[str, Failure] = {
    "401": Failure(Reply(status=401), errors.AccessDenied),
    "403": Failure(Reply(status=403), errors.AccessDenied),
    "404": Failure(Reply(status=404), errors.RequestRefused),
    "400": Failure(Reply(status=400), errors.RequestRefused),
    "400 out of quota": Failure(Reply(status=400, code="provider_quota_exceeded"), errors.RateLimited),
    "400 model failed": Failure(Reply(status=400, code="completion_request_error"), errors.ProviderUnavailable, True),
    "429": Failure(Reply(status=429), errors.RateLimited, True),
    "429 out of quota": Failure(Reply(status=429, code="insufficient_quota"), errors.RateLimited),
    "429 out of an app's quota": Failure(Reply(status=429, code="rate_limit_error"), errors.RateLimited),
    "500": Failure(Reply(status=500), errors.ProviderUnavailable, True),
    "503": Failure(Reply(status=503), errors.ProviderUnavailable, True),
    "another content type": Failure(Reply(content_type="text/html"), errors.MalformedStream, True),
    "garbage": Failure(Reply(garbage_after=1), errors.MalformedStream, True, 1),
    "connection cut at once": Failure(Reply(cut_after=0), errors.StreamCut, True),
    "connection cut": Failure(Reply(cut_after=2), errors.StreamCut, True, 2),
    "end without its mark": Failure(Reply(stop_after=2), errors.StreamCut, True, 2),
    "error in the stream": Failure(Reply(error_after=2), errors.AnswerFailed, True, 2),
    "final error in the stream": Failure(Reply(error_after=1, error=_FINAL), errors.AnswerFailed, False, 1),
    "empty answer": Failure(Reply(pieces=[]), errors.AnswerFailed, True),
    "first piece late": Failure(Reply(first_delay=9), errors.ProviderTimeout, True),
    "silence": Failure(Reply(silence_after=2, silence=9), errors.ProviderTimeout, True, 2),
    "silence with pings": Failure(Reply(silence_after=2, silence=9, ping=0.05), errors.ProviderTimeout, True, 2),
}
LATE = frozenset(name for name, failure in FAILURES.items() if failure.kind is errors.ProviderTimeout)
