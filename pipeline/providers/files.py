"""Files of the knowledge folder: a path in, the text of every readable document out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigurationError
from pipeline.providers.knowledge import SUFFIXES

# A text of this size is a data dump; reading it whole would cost more memory than all other documents together.
MAX_FILE_BYTES = 20_000_000


@dataclass(frozen=True, slots=True)
class KnowledgeFile:
    """A document: its path below the knowledge folder, with slashes, and its text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A document that is not in the index, and why."""

    name: str
    reason: str


def read_knowledge(knowledge: Path) -> tuple[list[KnowledgeFile], list[Skipped]]:
    """All documents of a folder in order of their names, or the one file that was given; hidden ones are left out.

    Raises:
        ConfigurationError: there is no such folder, it may not be read, or it holds no document.
    """
    try:
        found = sorted(_documents(knowledge))
    except OSError as exc:
        reason = exc.strerror or exc
        raise ConfigurationError(
            f"KNOWLEDGE_PATH={knowledge} cannot be read ({reason}): name a folder of Markdown or text files."
        ) from exc
    root = knowledge if knowledge.is_dir() else knowledge.parent
    outcomes = [_read(path, path.relative_to(root).as_posix()) for path in found]
    files = [outcome for outcome in outcomes if isinstance(outcome, KnowledgeFile)]
    skipped = [outcome for outcome in outcomes if isinstance(outcome, Skipped)]
    if not files:
        kinds = " ".join(sorted(SUFFIXES))
        raise ConfigurationError(f"KNOWLEDGE_PATH={knowledge} holds no document that can be read ({kinds}).")
    return files, skipped


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


def _read(path: Path, name: str) -> KnowledgeFile | Skipped:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return Skipped(name, f"larger than {MAX_FILE_BYTES // 1_000_000} MB")
        raw = path.read_bytes()
    except OSError as exc:
        return Skipped(name, exc.strerror or str(exc))
    if b"\0" in raw:
        return Skipped(name, "binary, not text")
    for encoding in ("utf-8-sig", "gb18030"):  # the second is what older Chinese documents are written in
        try:
            return KnowledgeFile(name, raw.decode(encoding).replace("\r\n", "\n"))
        except UnicodeDecodeError:
            continue
    return Skipped(name, "neither UTF-8 nor GB 18030")
