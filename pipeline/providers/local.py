"""Provider `local`: answers with the words of the knowledge folder, cited; no key, no network."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from pipeline.providers.base import Asked, Delta, End, Provider
from pipeline.providers.extracts import Extract, extracts
from pipeline.providers.index import Hit, KnowledgeIndex
from pipeline.providers.knowledge import place
from pipeline.providers.prompts import looked_for
from pipeline.providers.words import language

SHOWN_WIDTH = 640  # columns of each passage that a search shows
NOT_FOUND = {
    "zh": "没有找到答案：知识库里没有与这个问题相关的内容。",
    "en": "No answer found: the knowledge holds nothing about this question.",
}


class LocalProvider(Provider):
    """Quotes the passages that answer a question; what it cannot find it says plainly, with no sources."""

    name = "local"

    def __init__(self, index: KnowledgeIndex) -> None:
        """Take the index of the folder."""
        self._index = index

    async def stream(self, asked: Asked) -> AsyncGenerator[Delta | End, None]:
        """Yield the quotes sentence by sentence, then a line for each citation."""
        question = looked_for(asked)
        hits = relevant(await self._index.find(question))
        found = extracts(hits, self._index.weights(question))
        if not found:
            yield Delta(NOT_FOUND[asked.lang if asked.lang in NOT_FOUND else language(asked.text)])
            yield End(found=False)
            return
        sources = [source(n, extract) for n, extract in enumerate(found, start=1)]
        for extract, cited in zip(found, sources, strict=True):
            for piece in extract.pieces():
                yield Delta(piece)
            yield Delta(f" [{cited['n']}]\n\n")
        yield Delta("\n".join(citation(cited) for cited in sources))
        yield End(sources=sources)

    async def health(self) -> bool:
        """Whether the index holds anything."""
        return len(self._index) > 0


def relevant(hits: Sequence[Hit]) -> list[Hit]:
    """Hits that are about the question: they mean the same, or share words with it, and not by accident.

    Most of a short question must be there. A long one is half politeness and detail, so some rare words together are
    enough. Set by hand on two document sets, with 27 spoken questions about them and 21 about something else.
    """
    return [hit for hit in hits if _is_about(hit)]


def _is_about(hit: Hit) -> bool:
    if hit.near:
        return True
    if hit.matched >= 3 and hit.weight >= 1.7 and hit.coverage >= 0.25:
        return True
    if hit.matched >= 2 and hit.headed >= 0.35 and hit.weight + hit.headed >= 1.0 and hit.coverage >= 0.15:
        return True
    return hit.coverage >= (0.44 if hit.matched >= 2 else 0.6)


def look_up(index: KnowledgeIndex, question: str, limit: int) -> list[dict[str, Any]]:
    """What is found for a question, best first: sources, each with `answers`: whether it is about the question.

    Where none answers, the provider says that it has no answer.
    """
    weights = index.weights(question)
    return [
        source(n, extract) | {"answers": _is_about(hit)}
        for n, hit in enumerate(index.search(question, limit), start=1)
        for extract in extracts([hit], weights, SHOWN_WIDTH)
    ]


def source(n: int, extract: Extract) -> dict[str, Any]:
    """A citation as data: `n`, `title`, `heading`, `file`, `lines`, `score` and the quoted `text`.

    `lines` are "L3-L5", in a PDF "page=3".
    """
    passage = extract.hit.passage
    return {
        "n": n,
        "title": passage.title,
        "heading": passage.heading,
        "file": passage.file,
        "lines": place(passage.file, extract.first, extract.last),
        "score": round(extract.hit.score, 3),
        "text": extract.text,
    }


def citation(cited: dict[str, Any]) -> str:
    """A source as a line of text.

    >>> citation({"n": 1, "title": "Plans", "heading": "Price", "file": "plans.md", "lines": "L3-L5"})
    '[1] Plans > Price (plans.md#L3-L5)'
    """
    path = " > ".join(part for part in (cited["title"], cited["heading"]) if part)
    return f"[{cited['n']}] {path} ({cited['file']}#{cited['lines']})"
