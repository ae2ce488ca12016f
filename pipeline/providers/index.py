"""The index of the knowledge folder, as it is read: a question in, ranked passages out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import tantivy

from pipeline.errors import ConfigurationError
from pipeline.providers.knowledge import Passage
from pipeline.providers.words import terms

# Part of the folder's name: raise it when schema, terms or passages change, and every index is built anew.
VERSION = 2

# Headings count as much as the text: on 32 spoken questions over 574 pages, 23 first hits were right; with 0.7, 20.
HEADING_WEIGHT = 1.0


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that shares terms with the question.

    `matched` counts the shared terms and `weight` adds up their rarity, `headed` of those that stand in the title or
    the headings; `coverage` is the share of the question's whole weight (0 to 1). The size of `score` depends on the
    documents, so it only ranks.
    """

    passage: Passage
    score: float
    matched: int
    weight: float
    headed: float
    coverage: float


class KnowledgeIndex:
    """Reads an index; what a writer commits is seen by the next search."""

    def __init__(self, index: Path) -> None:
        """Open the index below this folder.

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
        self._seen = 0
        self._searcher = self._index.searcher()

    def search(self, question: str, limit: int = 8) -> list[Hit]:
        """Passages that share words with the question, best first: the sum of BM25 over body and headings."""
        searcher = self._fresh()
        weights = self.weights(question)
        schema = self._index.schema
        should = [
            (tantivy.Occur.Should, tantivy.Query.boost_query(tantivy.Query.term_query(schema, field, term), boost))
            for term in weights
            for field, boost in (("body", 1.0), ("heading", HEADING_WEIGHT))
        ]
        found = searcher.search(tantivy.Query.boolean_query(should), limit, count=False).hits if should else []
        hits = [(score, _passage(searcher.doc(address))) for score, address in found]
        return [_hit(score, passage, weights) for score, passage in _distinct(hits)]

    def weights(self, question: str) -> dict[str, float]:
        """Terms of the question with their rarity (BM25's idf): from 0 for one in every passage to 1 for unheard of."""
        searcher = self._fresh()
        total = searcher.num_docs
        return {term: _rarity(searcher, term, total) / _idf(0, total) for term in dict.fromkeys(terms(question))}

    def __len__(self) -> int:
        """Number of passages."""
        return self._fresh().num_docs

    def _fresh(self) -> tantivy.Searcher:
        try:
            changed = self._meta.stat().st_mtime_ns
        except FileNotFoundError:  # deleted, to be built anew: what is open stays readable until then
            return self._searcher
        if changed != self._seen:
            self._index.reload()
            self._searcher, self._seen = self._index.searcher(), changed
        return self._searcher


def _rarity(searcher: tantivy.Searcher, term: str, total: int) -> float:
    return _idf(max(searcher.doc_freq("body", term), searcher.doc_freq("heading", term)), total)


def _idf(having: int, total: int) -> float:
    return math.log(1 + (max(total - having, 0) + 0.5) / (having + 0.5))


def _hit(score: float, passage: Passage, weights: Mapping[str, float]) -> Hit:
    above = set(terms(f"{passage.title} {passage.heading}"))
    held = above.union(terms(passage.text))
    shared = [weight for term, weight in weights.items() if term in held]
    headed = sum(weight for term, weight in weights.items() if term in above)
    weight, whole = sum(shared), sum(weights.values())
    return Hit(passage, score, len(shared), weight, headed, weight / whole if whole else 0.0)


def _distinct(hits: Iterable[tuple[float, Passage]]) -> list[tuple[float, Passage]]:
    """Leave out passages whose text stands in a better hit: copied paragraphs are common in documents."""
    texts: dict[str, tuple[float, Passage]] = {}
    for score, passage in hits:
        texts.setdefault(passage.text, (score, passage))
    return list(texts.values())


def _passage(document: tantivy.Document) -> Passage:
    return msgspec.json.decode(document["passage"][0], type=Passage)


def index_home(index: Path) -> Path:
    """Where in the index folder this version of the index stands."""
    return index / f"v{VERSION}"


def index_schema() -> tantivy.Schema:
    """Fields of the index: what is searched, and the passage itself as it is shown."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("file", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("heading", tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field("body", tokenizer_name="whitespace", index_option="freq")
    builder.add_bytes_field("passage", stored=True)
    return builder.build()
