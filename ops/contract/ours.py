"""The providers that come with the package, on fakes of their servers: no key, no network."""

from __future__ import annotations

from ops.contract.failures import LATE
from ops.contract.subjects import Place, Subject
from ops.fakes.server import DIALECTS
from pipeline.providers import Asked, Provider, open_provider
from pipeline.settings import Settings

QUESTION = Asked("how many days do you keep the backups", lang="en", session_id="s1")
DOCUMENT = "# Backups\n\nWe keep the backups for fourteen days.\n"
_CODES = {  # whose codes these are
    "400 out of quota": "dify",
    "400 model failed": "dify",
    "429 out of an app's quota": "dify",
    "429 out of quota": "openai",
}
_NO_END = frozenset({"end without its mark", "final error in the stream"})  # a server of one's own ends as it likes
_NO_FORM = _NO_END | {"garbage", "error in the stream", "tells no key from inside the stream"}  # text can say anything


def settings_at(place: Place, **changes: object) -> Settings:
    """Settings with every server at one place."""
    given: dict[str, object] = {"context_base_url": f"{place.url}/v1/", "custom_rag_api_url": f"{place.url}/custom"}
    for name in ("openai", "context", "dify", "custom_rag", "serper"):
        given |= {f"{name}_api_key": place.key, f"{name}_timeout": place.timeout}
    given |= {f"{name}_base_url": place.url for name in ("openai", "dify", "serper")}
    folders = {"knowledge_path": place.folder, "data_path": place.folder / "data"}
    return Settings(**{**given, **folders, **changes})  # type: ignore[arg-type]


def _ours(name: str, chosen: str = "", *, skips: frozenset[str] = frozenset(), **fields: object) -> Subject:
    changes = {"openai_api": "responses"} if name == "openai-responses" else {}
    chosen = chosen or name

    async def opened(place: Place) -> Provider:
        (place.folder / "backups.md").write_text(DOCUMENT, encoding="utf-8")
        return await open_provider(settings_at(place, rag_provider=chosen, **changes))

    foreign = frozenset(case for case, whose in _CODES.items() if chosen != whose)
    usual: dict[str, object] = {"counts": "server", "dialects": dict(DIALECTS), "kind": name.partition("-")[2]}
    return Subject(name, opened, QUESTION, chosen, skips=skips | foreign, **{**usual, **fields})  # type: ignore[arg-type]


SUBJECTS = {
    subject.name: subject
    for subject in (
        _ours("local", counts="nothing", dialects={}),
        _ours("openai"),
        _ours("openai-responses", "openai", kind=""),
        _ours("context", skips=LATE),
        _ours("dify-chatbot", "dify"),
        _ours("dify-chatflow", "dify", skips=LATE),
        _ours("dify-agent", "dify", skips=LATE),
        _ours("dify-new-agent", "dify", skips=LATE),
        _ours("custom-sse", "custom", skips=_NO_END),
        _ours("custom-ndjson", "custom", skips=_NO_END | LATE),
        _ours("custom-text", "custom", skips=_NO_FORM | LATE, counts="nobody"),
        _ours("custom-json", "custom", whole=True),
        _ours("serper", counts="nothing", whole=True),
        _ours("chain", "openai,local", dialects={}),
    )
}
