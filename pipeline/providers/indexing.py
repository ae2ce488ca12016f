"""The index of the knowledge folder, as it is written: files in, terms and passages on disk; one writer at a time."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import tantivy

from pipeline.errors import ConfigurationError
from pipeline.providers.files import KnowledgeFile, Skipped, knowledge_files, nothing_readable, read
from pipeline.providers.index_folder import Entry, Manifest, index_home, index_schema, read_manifest, store_manifest
from pipeline.providers.knowledge import Passage
from pipeline.providers.units import Unreadable
from pipeline.providers.words import terms

if TYPE_CHECKING:  # it needs numpy, which the extra local-dense brings
    from pipeline.providers.dense import Encoder

log = logging.getLogger(__name__)

_WRITER_BYTES = 15_000_000  # the least that tantivy accepts; documents of one folder need no more
_LOCK_RETRY = 0.05
_AROUND = 3  # passages before and after; a page of help has no more, and a book is not one subject
_COMMIT_EVERY = 20.0  # seconds; vectors of a large folder take many minutes, and a run that is stopped keeps its work


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


def build_index(knowledge: Path, index: Path, encoder: Encoder | None = None, wait: float = 30.0) -> IndexReport:
    """Bring the index up to date with the knowledge folder (or single file); only changed files are read into it.

    Args:
        knowledge: folder of documents, or one document.
        index: folder of the index; it is made when it is missing, and may be deleted at any time.
        encoder: makes vectors of the passages; files that have none of it are read again.
        wait: seconds to wait while another process writes the same index.

    Raises:
        ConfigurationError: the knowledge cannot be read, or the index cannot be written; it names the setting.
    """
    started = time.monotonic()
    files, skipped = knowledge_files(knowledge)
    try:
        before, entries = _update(files, index, encoder, started + wait)
    except OSError as exc:
        raise ConfigurationError(
            f"The index in {index} cannot be written ({exc.strerror or exc}): see DATA_PATH."
        ) from exc
    skipped += [Skipped(name, entry.unreadable) for name, entry in sorted(entries.items()) if entry.unreadable]
    if all(entry.unreadable for entry in entries.values()):
        raise nothing_readable(knowledge, skipped)
    return _report(before, entries, skipped, time.monotonic() - started)


def _update(
    files: list[KnowledgeFile], index: Path, encoder: Encoder | None, deadline: float
) -> tuple[Manifest, Manifest]:
    """What was in the index, and what is in it now."""
    opened = _open_or_create(index)
    before = read_manifest(index)
    names = {file.name for file in files}
    if before.keys() == names and all(before[file.name].holds(file, encoder) for file in files):
        return before, before
    with _writer(opened, index, deadline) as writer:
        before = read_manifest(index)  # whoever held the lock before us may have done the work
        return before, _write(writer, index, files, before, encoder)


def _report(before: Manifest, entries: Manifest, skipped: list[Skipped], seconds: float) -> IndexReport:
    readable = {name for name, entry in entries.items() if not entry.unreadable}
    known = {name for name in readable & before.keys() if before[name].digest == entries[name].digest}
    return IndexReport(
        added=len(readable - before.keys()),
        updated=len(readable & before.keys() - known),
        removed=len(before.keys() - entries.keys()),
        unchanged=len(known),
        passages=sum(entry.passages for entry in entries.values()),
        seconds=seconds,
        skipped=tuple(skipped),
    )


def _open_or_create(index: Path) -> tantivy.Index:
    home = index_home(index)
    home.mkdir(parents=True, exist_ok=True)
    for last in (False, True):
        try:
            return tantivy.Index(index_schema(), str(home))
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
    writer: tantivy.IndexWriter, index: Path, files: list[KnowledgeFile], before: Manifest, encoder: Encoder | None
) -> Manifest:
    """Put changed files in place of what was there of them; a run that died before its manifest repeats this."""
    names = {file.name for file in files}
    entries = {name: entry for name, entry in before.items() if name in names}
    for name in before.keys() - names:
        writer.delete_documents_by_term("file", name)
    changed = [file for file in files if file.name not in entries or not entries[file.name].holds(file, encoder)]
    if encoder and changed:
        log.info("Reading %d documents for their meaning: this takes 0.1 s a passage.", len(changed))
    committed = time.monotonic()
    for file in changed:
        writer.delete_documents_by_term("file", file.name)
        entries[file.name] = _add(writer, file, encoder)
        if time.monotonic() - committed > _COMMIT_EVERY:
            _commit(writer, index, entries)
            committed = time.monotonic()
    _commit(writer, index, entries)
    return entries


def _add(writer: tantivy.IndexWriter, file: KnowledgeFile, encoder: Encoder | None) -> Entry:
    by = encoder.name if encoder else ""
    try:
        found = read(file)
    except Unreadable as exc:
        return Entry(file.digest, 0, str(exc), by)
    said = [" ".join(terms(passage.text)) for passage in found]
    for at, (passage, vector) in enumerate(zip(found, _vectors(found, encoder), strict=True)):
        around = said[max(at - _AROUND, 0) : at + _AROUND + 1]
        writer.add_document(_document(passage, said[at], " ".join(around), vector))
    return Entry(file.digest, len(found), encoder=by)


def _vectors(found: list[Passage], encoder: Encoder | None) -> list[bytes]:
    if encoder is None:
        return [b""] * len(found)
    from pipeline.providers.dense import packed

    return [packed(row) for row in encoder.passages(found)]


def _document(passage: Passage, body: str, around: str, vector: bytes) -> tantivy.Document:
    return tantivy.Document(
        file=passage.file,
        heading=" ".join(terms(f"{passage.title} {passage.heading}")),
        body=body,
        around=around,
        passage=msgspec.json.encode(passage),
        vector=vector,
    )


def _commit(writer: tantivy.IndexWriter, index: Path, entries: Manifest) -> None:
    writer.commit()
    store_manifest(index, entries)
