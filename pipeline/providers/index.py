"""The index of the knowledge folder: files in, ranked passages out; one writer at a time, any number of readers."""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import tantivy

from pipeline.errors import ConfigurationError
from pipeline.providers.files import KnowledgeFile, Skipped, read_knowledge
from pipeline.providers.knowledge import Passage, passages
from pipeline.providers.words import terms

# Part of the folder's name: raise it when schema, terms or passages change, and every index is built anew.
VERSION = 1

# A heading names what its section is about, but a match in it alone does not make the section an answer.
HEADING_WEIGHT = 0.7

_WRITER_BYTES = 15_000_000  # the least that tantivy accepts; documents of one folder need no more
_LOCK_RETRY = 0.05


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What an indexing run did: counts of files, passages that are now in the index, seconds it took."""

    added: int
    updated: int
    removed: int
    unchanged: int
    passages: int
    seconds: float
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that shares terms with the question.

    `matched` counts the shared terms and `weight` adds up their rarity; `coverage` is the share of the question's
    whole weight (0 to 1). The size of `score` depends on the documents, so it only ranks.
    """

    passage: Passage
    score: float
    matched: int
    weight: float
    coverage: float


class _Entry(msgspec.Struct, frozen=True):
    digest: str
    passages: int


def build_index(knowledge: Path, index: Path, wait: float = 30.0) -> IndexReport:
    """Bring the index up to date with the knowledge folder (or single file); only changed files are read into it.

    Args:
        knowledge: folder of Markdown and text files, or one such file.
        index: folder of the index; it is made when it is missing, and may be deleted at any time.
        wait: seconds to wait while another process writes the same index.

    Raises:
        ConfigurationError: the knowledge cannot be read, or the index cannot be written; it names the setting.
    """
    started = time.monotonic()
    files, skipped = read_knowledge(knowledge)
    now = {file.name: hashlib.sha256(file.text.encode()).hexdigest() for file in files}
    try:
        opened = _open_or_create(index)
        before, entries = _manifest(index), {}
        if {name: entry.digest for name, entry in before.items()} == now:
            entries = before
        else:
            with _writer(opened, index, started + wait) as writer:
                before = _manifest(index)  # whoever held the lock before us may have done the work
                entries = _write(writer, files, before, now)
                _store_manifest(index, entries)
    except OSError as exc:
        raise ConfigurationError(
            f"The index in {index} cannot be written ({exc.strerror or exc}): see DATA_PATH."
        ) from exc
    return IndexReport(
        added=len(now.keys() - before.keys()),
        updated=sum(before[name].digest != now[name] for name in now.keys() & before.keys()),
        removed=len(before.keys() - now.keys()),
        unchanged=sum(name in before and before[name].digest == now[name] for name in now),
        passages=sum(entry.passages for entry in entries.values()),
        seconds=time.monotonic() - started,
        skipped=tuple(skipped),
    )


class KnowledgeIndex:
    """Reads an index; what a writer commits is seen by the next search."""

    def __init__(self, index: Path) -> None:
        """Open the index below this folder.

        Raises:
            ConfigurationError: there is none, or it cannot be read.
        """
        self._meta = _home(index) / "meta.json"
        try:
            self._index = tantivy.Index.open(str(_home(index)))
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
        changed = self._meta.stat().st_mtime_ns
        if changed != self._seen:
            self._index.reload()
            self._searcher, self._seen = self._index.searcher(), changed
        return self._searcher


def _rarity(searcher: tantivy.Searcher, term: str, total: int) -> float:
    return _idf(max(searcher.doc_freq("body", term), searcher.doc_freq("heading", term)), total)


def _idf(having: int, total: int) -> float:
    return math.log(1 + (max(total - having, 0) + 0.5) / (having + 0.5))


def _hit(score: float, passage: Passage, weights: Mapping[str, float]) -> Hit:
    held = set(terms(f"{passage.title} {passage.heading} {passage.text}"))
    shared = [weight for term, weight in weights.items() if term in held]
    weight, whole = sum(shared), sum(weights.values())
    return Hit(passage, score, len(shared), weight, weight / whole if whole else 0.0)


def _distinct(hits: Iterable[tuple[float, Passage]]) -> list[tuple[float, Passage]]:
    """Leave out passages whose text stands in a better hit: copied paragraphs are common in documents."""
    texts: dict[str, tuple[float, Passage]] = {}
    for score, passage in hits:
        texts.setdefault(passage.text, (score, passage))
    return list(texts.values())


def _passage(document: tantivy.Document) -> Passage:
    return msgspec.json.decode(document["passage"][0], type=Passage)


def _home(index: Path) -> Path:
    return index / f"v{VERSION}"


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("file", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("heading", tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field("body", tokenizer_name="whitespace", index_option="freq")
    builder.add_bytes_field("passage", stored=True)
    return builder.build()


def _open_or_create(index: Path) -> tantivy.Index:
    home = _home(index)
    home.mkdir(parents=True, exist_ok=True)
    for last in (False, True):
        try:
            return tantivy.Index(_schema(), str(home))
        except ValueError as exc:  # also when another process is creating it at this moment
            if last:
                raise ConfigurationError(f"The index in {index} is damaged ({exc}): delete it and try again.") from exc
            time.sleep(_LOCK_RETRY)
    raise AssertionError


def _writer(opened: tantivy.Index, index: Path, deadline: float) -> tantivy.IndexWriter:
    """The only writer of this index; waits while another process holds tantivy's lock."""
    while True:
        try:
            return opened.writer(_WRITER_BYTES, 1)
        except ValueError as exc:
            if "LockBusy" not in str(exc):
                raise OSError(str(exc)) from exc
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"Another process is writing the index in {index}: wait for it, or give this one its own DATA_PATH."
                ) from exc
        time.sleep(_LOCK_RETRY)


def _write(
    writer: tantivy.IndexWriter, files: list[KnowledgeFile], before: Mapping[str, _Entry], now: Mapping[str, str]
) -> dict[str, _Entry]:
    """Put changed files in place of what was there of them; a run that died before its manifest repeats this."""
    entries = {name: entry for name, entry in before.items() if entry.digest == now.get(name)}
    for name in (before.keys() | now.keys()) - entries.keys():
        writer.delete_documents_by_term("file", name)
    for file in files:
        if file.name not in entries:
            cut = passages(file.text, file.name)
            for passage in cut:
                writer.add_document(_document(passage))
            entries[file.name] = _Entry(now[file.name], len(cut))
    writer.commit()
    return entries


def _document(passage: Passage) -> tantivy.Document:
    return tantivy.Document(
        file=passage.file,
        heading=" ".join(terms(f"{passage.title} {passage.heading}")),
        body=" ".join(terms(passage.text)),
        passage=msgspec.json.encode(passage),
    )


def _manifest(index: Path) -> dict[str, _Entry]:
    try:
        return msgspec.json.decode((_home(index) / "files.json").read_bytes(), type=dict[str, _Entry])
    except (FileNotFoundError, msgspec.DecodeError):
        return {}


def _store_manifest(index: Path, entries: dict[str, _Entry]) -> None:
    path = _home(index) / "files.json"
    written = path.with_suffix(f".{os.getpid()}")
    written.write_bytes(msgspec.json.encode(entries))
    written.replace(path)
