"""The folder of the index: where it stands, which fields a passage has in it, and which files were read into it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import tantivy

from pipeline.providers.files import KnowledgeFile

if TYPE_CHECKING:  # it needs numpy, which the extra local-dense brings
    from pipeline.providers.dense import Encoder

# Part of the folder's name: raise it when schema, terms or passages change, and every index is built anew.
VERSION = 3


def index_home(index: Path) -> Path:
    """Where in the index folder this version of the index stands."""
    return index / f"v{VERSION}"


def index_schema() -> tantivy.Schema:
    """Fields of the index: what is searched, the passage itself as it is shown, and its vector if it has one."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("file", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("heading", tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field("body", tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field("around", tokenizer_name="whitespace", index_option="freq")
    builder.add_bytes_field("passage", stored=True)
    builder.add_bytes_field("vector", stored=True)
    return builder.build()


class Entry(msgspec.Struct, frozen=True):
    """What is in the index of a file: how many passages, or why there are none, and whose vectors they have."""

    digest: str
    passages: int
    unreadable: str = ""
    encoder: str = ""

    def holds(self, file: KnowledgeFile, encoder: Encoder | None) -> bool:
        """Whether nothing has to be read; vectors that nobody wants any more may stay."""
        return self.digest == file.digest and (encoder is None or self.encoder == encoder.name)


Manifest = Mapping[str, Entry]


def read_manifest(index: Path) -> Manifest:
    """Files of the index by name; none where there is no manifest that can be read."""
    try:
        return msgspec.json.decode(_manifest(index).read_bytes(), type=dict[str, Entry])
    except (FileNotFoundError, msgspec.DecodeError):
        return {}


def store_manifest(index: Path, entries: Manifest) -> None:
    """Write the manifest, at once for whoever reads it."""
    path = _manifest(index)
    written = path.with_suffix(f".{os.getpid()}")
    written.write_bytes(msgspec.json.encode(entries))
    written.replace(path)


def _manifest(index: Path) -> Path:
    return index_home(index) / "files.json"
