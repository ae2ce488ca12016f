"""The index of the knowledge folder, as it is read: a question in, ranked passages out."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import tantivy

from pipeline.errors import ConfigurationError
from pipeline.providers.fusion import fused
from pipeline.providers.index_folder import index_home
from pipeline.providers.knowledge import Passage
from pipeline.providers.words import language, terms

if TYPE_CHECKING:  # they need numpy, which the extra local-dense brings
    from pipeline.providers.dense import Encoder, Meanings

# A passage is about what stands around it, too: of 144 spoken questions over 446 pages a language, 85 found the right
# page first; by body and heading alone, 79.
OWN, AROUND = {"body": 0.7, "heading": 1.0}, {"around": 0.7}

# How many places of the two rankings, by words and by meaning, are fused, and how much more the second one counts: of
# 108 such questions 68 found their page first and 71 their answer; 67 and 66 with equal weights.
FUSED, MEANING_WEIGHT = 100, 2.5

Place = tuple[int, int]  # where a passage stands in the index: segment and document, as a DocAddress has them


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage for a question.

    `matched` counts the shared terms and `weight` adds up their rarity, `headed` of those that stand in the title or
    the headings; `coverage` is the share of the question's whole weight (0 to 1). `near` says that it means what was
    asked, whatever its words. The size of `score` depends on the documents, so it only ranks.
    """

    passage: Passage
    score: float
    matched: int
    weight: float
    headed: float
    coverage: float
    near: bool = False


class _View(NamedTuple):
    """The index as it was committed last."""

    searcher: tantivy.Searcher
    meanings: Meanings | None


class KnowledgeIndex:
    """Reads an index, from any thread; what a writer commits is seen by the next search."""

    def __init__(self, index: Path, encoder: Encoder | None = None) -> None:
        """Open the index below this folder; `encoder` makes the vectors of questions, for passages that have theirs.

        Raises:
            ConfigurationError: there is none, or it cannot be read.
        """
        self._meta = index_home(index) / "meta.json"
        try:
            self._index = tantivy.Index.open(str(index_home(index)))
        except (ValueError, OSError) as exc:
            raise ConfigurationError(
                f"There is no index in {index}: run `realtime-rag index`, or check DATA_PATH."
            ) from exc
        self._index.config_reader("manual")
        self._encoder, self._lock, self._seen = encoder, threading.Lock(), 0
        self._view = _View(self._index.searcher(), None)

    async def find(self, question: str, limit: int = 8) -> list[Hit]:
        """As `search`; beside the event loop where a vector has to be made for the question, which takes 10 ms."""
        if self._encoder is None:
            return self.search(question, limit)
        return await asyncio.to_thread(self.search, question, limit)

    def search(self, question: str, limit: int = 8) -> list[Hit]:
        """Passages for a question, best first.

        They share words with it, ranked by the sum of BM25 over headings, body and what stands around it. With an
        encoder others mean the same, and the two rankings are fused. A question of nothing but filling finds nothing.
        """
        view = self._fresh()
        weights = self.weights(question)
        if not weights:
            return []
        ranked, near = self._ranked(view, question, weights, limit)
        found = ((place, score, _passage(view.searcher, place)) for place, score in ranked.items())
        distinct = islice(_distinct(found), limit)
        return [_hit(score, passage, weights, place in near) for place, score, passage in distinct]

    def _ranked(
        self, view: _View, question: str, weights: Mapping[str, float], limit: int
    ) -> tuple[dict[Place, float], set[Place]]:
        """Scores of the best places, and which of them mean what was asked."""
        if self._encoder is None or view.meanings is None:
            return self._by_words(view.searcher, weights, limit), set()
        similar = view.meanings.nearest(self._encoder.question(question), FUSED)
        by_words = self._by_words(view.searcher, weights, FUSED)
        floor = self._encoder.floors[language(question)]
        near = {place for place, similarity in similar.items() if similarity >= floor}
        return fused([(1.0, list(by_words)), (MEANING_WEIGHT, list(similar))]), near

    def _by_words(self, searcher: tantivy.Searcher, weights: Mapping[str, float], limit: int) -> dict[Place, float]:
        own = self._any_of(weights, OWN)
        around = self._any_of(weights, AROUND)
        query = tantivy.Query.boolean_query([(tantivy.Occur.Must, own), (tantivy.Occur.Should, around)])
        found = searcher.search(query, limit, count=False).hits
        return {(address.segment_ord, address.doc): score for score, address in found}

    def _any_of(self, found: Iterable[str], fields: Mapping[str, float]) -> tantivy.Query:
        schema = self._index.schema
        queries = [
            tantivy.Query.boost_query(tantivy.Query.term_query(schema, field, term), boost)
            for term in found
            for field, boost in fields.items()
        ]
        return tantivy.Query.boolean_query([(tantivy.Occur.Should, query) for query in queries])

    def weights(self, question: str) -> dict[str, float]:
        """Terms of the question with their rarity (BM25's idf): from 0 for one in every passage to 1 for unheard of."""
        searcher = self._fresh().searcher
        total = searcher.num_docs
        return {term: _rarity(searcher, term, total) / _idf(0, total) for term in dict.fromkeys(terms(question))}

    def __len__(self) -> int:
        """Number of passages."""
        return self._fresh().searcher.num_docs

    def _fresh(self) -> _View:
        with self._lock:
            try:
                changed = self._meta.stat().st_mtime_ns
            except FileNotFoundError:  # deleted, to be built anew: what is open stays readable until then
                return self._view
            if changed != self._seen:
                self._index.reload()
                searcher = self._index.searcher()
                self._view, self._seen = _View(searcher, _meanings(searcher, self._encoder)), changed
            return self._view


def _meanings(searcher: tantivy.Searcher, encoder: Encoder | None) -> Meanings | None:
    if encoder is None or not searcher.num_docs:
        return None
    from pipeline.providers.dense import Meanings

    addresses = [address for _, address in searcher.search(tantivy.Query.all_query(), searcher.num_docs).hits]
    return Meanings.read(
        ((address.segment_ord, address.doc), searcher.doc(address).get_first("vector")) for address in addresses
    )


def _rarity(searcher: tantivy.Searcher, term: str, total: int) -> float:
    return _idf(max(searcher.doc_freq("body", term), searcher.doc_freq("heading", term)), total)


def _idf(having: int, total: int) -> float:
    return math.log(1 + (max(total - having, 0) + 0.5) / (having + 0.5))


def _hit(score: float, passage: Passage, weights: Mapping[str, float], near: bool) -> Hit:
    above = set(terms(f"{passage.title} {passage.heading}"))
    held = above.union(terms(passage.text))
    shared = [weight for term, weight in weights.items() if term in held]
    headed = sum(weight for term, weight in weights.items() if term in above)
    weight, whole = sum(shared), sum(weights.values())
    return Hit(passage, score, len(shared), weight, headed, weight / whole if whole else 0.0, near)


def _distinct(found: Iterable[tuple[Place, float, Passage]]) -> Iterator[tuple[Place, float, Passage]]:
    """Leave out passages whose text stands in a better hit: copied paragraphs are common in documents."""
    seen = set[str]()
    for place, score, passage in found:
        if passage.text not in seen:
            seen.add(passage.text)
            yield place, score, passage


def _passage(searcher: tantivy.Searcher, place: Place) -> Passage:
    return msgspec.json.decode(searcher.doc(tantivy.DocAddress(*place))["passage"][0], type=Passage)
