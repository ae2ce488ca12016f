"""Files of the knowledge folder: a path in, every document with its digest out; then a document in, passages out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigurationError
from pipeline.providers.knowledge import PDF_SUFFIXES, SUFFIXES, Passage, cut, passages
from pipeline.providers.units import Unreadable

# A text of this size is a data dump; reading it whole would cost more memory than all other documents together.
MAX_TEXT_BYTES = 20_000_000
# Much of a PDF is pictures, which are not read.
MAX_PDF_BYTES = 500_000_000


@dataclass(frozen=True, slots=True)
class KnowledgeFile:
    """A document: its path below the knowledge folder, with slashes; where it is; the SHA-256 of its bytes."""

    name: str
    path: Path
    digest: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A document that is not in the index, and why."""

    name: str
    reason: str


def knowledge_files(knowledge: Path) -> tuple[list[KnowledgeFile], list[Skipped]]:
    """All documents of a folder in order of their names, or the one file that was given; hidden ones are left out.

    Raises:
        ConfigurationError: there is no such folder, it may not be read, or it holds no document.
    """
    try:
        found = sorted(_documents(knowledge))
    except OSError as exc:
        reason = exc.strerror or exc
        raise ConfigurationError(
            f"KNOWLEDGE_PATH={knowledge} cannot be read ({reason}): name a folder of documents."
        ) from exc
    root = knowledge if knowledge.is_dir() else knowledge.parent
    outcomes = [_digest(path, path.relative_to(root).as_posix()) for path in found]
    files = [outcome for outcome in outcomes if isinstance(outcome, KnowledgeFile)]
    skipped = [outcome for outcome in outcomes if isinstance(outcome, Skipped)]
    if not files:
        raise nothing_readable(knowledge, skipped)
    return files, skipped


def nothing_readable(knowledge: Path, skipped: Sequence[Skipped]) -> ConfigurationError:
    """The error that says so, with the first reason where there are documents."""
    why = f"; {skipped[0].name}: {skipped[0].reason}" if skipped else ""
    kinds = " ".join(sorted(SUFFIXES))
    return ConfigurationError(f"KNOWLEDGE_PATH={knowledge} holds no document that can be read ({kinds}){why}.")


def _documents(knowledge: Path) -> Iterator[Path]:
    if not knowledge.is_dir():
        knowledge.stat()
        yield knowledge
        return
    os.listdir(knowledge)  # walk() is silent about a folder that may not be listed
    for folder, below, names in os.walk(knowledge, followlinks=False):
        below[:] = [name for name in below if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(folder, name)


def _digest(path: Path, name: str) -> KnowledgeFile | Skipped:
    limit = MAX_PDF_BYTES if _is_pdf(path) else MAX_TEXT_BYTES
    try:
        if path.stat().st_size > limit:
            return Skipped(name, f"larger than {limit // 1_000_000} MB")
        with path.open("rb") as file:
            return KnowledgeFile(name, path, hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as exc:
        return Skipped(name, exc.strerror or str(exc))


def read(file: KnowledgeFile) -> list[Passage]:
    """Passages of a document.

    Raises:
        Unreadable: its text cannot be had.
    """
    if _is_pdf(file.path):
        from pipeline.providers import pdf  # PDFium is loaded where there is a PDF

        return cut(file.name, *pdf.sections(file.path))
    return passages(_text(file.path), file.name)


def _is_pdf(path: Path) -> bool:
    return path.suffix.lower() in PDF_SUFFIXES


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as exc:
        raise Unreadable(exc.strerror or str(exc)) from exc
    if b"\0" in raw:
        raise Unreadable("binary, not text")
    for encoding in ("utf-8-sig", "gb18030"):  # the second is what older Chinese documents are written in
        try:
            return raw.decode(encoding).replace("\r\n", "\n")
        except UnicodeDecodeError:
            continue
    raise Unreadable("neither UTF-8 nor GB 18030")
