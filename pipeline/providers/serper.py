"""Provider `serper`: what Google finds, as an answer of its own with numbered links or as passages for another one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from pipeline.providers.base import Asked, Delta, End, Provider
from pipeline.providers.http import Names, Server, base_address
from pipeline.providers.prompts import looked_for
from pipeline.providers.words import language

NAMES = Names.of("SERPER")
NOTHING = {"zh": "网上没有找到与这个问题相关的内容。", "en": "The web search found nothing about this question."}
PLACES = {"zh": {"gl": "cn", "hl": "zh-cn"}, "en": {"gl": "us", "hl": "en"}}
RESULTS = 5  # that an answer quotes; more is no answer
_TAKEN = ("gl", "hl", "num", "tbs", "location")  # options of a batch task that Serper knows


class SerperProvider(Provider):
    """Searches the web; one paid call a question."""

    name = "serper"

    def __init__(self, *, key: str, base_url: str, timeout: float) -> None:
        """Prepare the connection pool; nothing is opened yet.

        Raises:
            ConfigurationError: an address or a key that cannot be used.
        """
        self._server = Server(self.name, base_address(base_url, NAMES.url), key, NAMES, header="X-API-KEY")
        self._timeout = timeout

    async def stream(self, asked: Asked) -> AsyncGenerator[Delta | End, None]:
        """Yield each result's own words with its number, then a line for each link."""
        found = await self.search(asked)
        if not found:
            yield Delta(NOTHING[_lang(asked)])
            yield End(found=False)
            return
        for cited in found:
            yield Delta(f"{cited['text']} [{cited['n']}]\n\n")
        yield Delta("\n".join(_line(cited) for cited in found))
        yield End(sources=found)

    async def search(self, asked: Asked) -> list[dict[str, Any]]:
        """What was found, as sources with their text.

        Raises:
            ProviderError: the search failed.
        """
        given = {name: asked.options[name] for name in _TAKEN if name in asked.options}
        query = {"q": looked_for(asked), **PLACES[_lang(asked)], **given}
        return sources(await self._server.whole("/search", query, self._timeout))

    async def health(self) -> bool:
        """Whether the server is there at all: only a paid search would say more."""
        return await self._server.reachable("/")

    async def aclose(self) -> None:
        """Close the connection pool."""
        await self._server.aclose()


def _line(cited: Mapping[str, Any]) -> str:
    link = f" ({cited['url']})" if cited.get("url") else ""
    return f"[{cited['n']}] {cited['title']}{link}"


def _lang(asked: Asked) -> str:
    return asked.lang if asked.lang in PLACES else language(asked.text)


def sources(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Answer box, knowledge graph, then organic results, each with words of its own; what has none is left out.

    >>> box, hit = {"answer": "14 days", "link": "https://a"}, {"title": "B", "snippet": "Two weeks."}
    >>> [(one["n"], one["title"], one["text"]) for one in sources({"answerBox": box, "organic": [hit, {"title": "C"}]})]
    [(1, 'https://a', '14 days'), (2, 'B', 'Two weeks.')]
    """
    box, graph, organic = found.get("answerBox"), found.get("knowledgeGraph"), found.get("organic")
    results = [
        *_said(box, ("answer", "snippet"), ("link",)),
        *_said(graph, ("description",), ("descriptionLink", "website")),
        *(
            said
            for hit in (organic if isinstance(organic, list) else [])
            for said in _said(hit, ("snippet",), ("link",))
        ),
    ]
    return [{"n": n, **result} for n, result in enumerate(_distinct(results)[:RESULTS], start=1)]


def _said(result: Any, words: Sequence[str], links: Sequence[str]) -> list[dict[str, Any]]:
    if not isinstance(result, dict):
        return []
    text = next((str(result[name]) for name in words if result.get(name)), "")
    url = next((str(result[name]) for name in links if result.get(name)), "")
    if not text:
        return []
    dated = {"date": result["date"]} if result.get("date") else {}
    linked = {"url": url} if url else {}  # a box of weather or sums has none
    return [{"title": str(result.get("title") or url or "Google"), **linked, "text": text, **dated}]


def _distinct(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answer box quotes a page that often comes again as the first organic result."""
    first: dict[str, dict[str, Any]] = {}
    for result in results:
        first.setdefault(result["text"], result)
    return list(first.values())
