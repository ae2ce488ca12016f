"""The knowledge of the settings: its index brought up to date, or opened; with meanings where these are wanted."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ConfigurationError
from pipeline.providers.index import KnowledgeIndex
from pipeline.providers.indexing import IndexReport, build_index
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.providers.dense import Encoder


def index_path(settings: Settings) -> Path:
    """Folder of the knowledge index."""
    return settings.data_path / "index"


def update_knowledge(settings: Settings) -> IndexReport:
    """Read what changed in the knowledge folder into its index.

    Raises:
        ConfigurationError: as `build_index` and `encoder_of`.
    """
    return build_index(settings.knowledge_path, index_path(settings), encoder_of(settings))


def open_knowledge(settings: Settings) -> KnowledgeIndex:
    """The index, for searching.

    Raises:
        ConfigurationError: there is none, or as `encoder_of`.
    """
    return KnowledgeIndex(index_path(settings), encoder_of(settings))


def encoder_of(settings: Settings) -> Encoder | None:
    """What makes vectors of passages and questions; None where words are enough.

    Raises:
        ConfigurationError: the extra `local-dense` is not installed.
    """
    return _installed_encoder(settings.knowledge_dense_threads) if settings.knowledge_dense else None


@cache
def _installed_encoder(threads: int) -> Encoder:
    try:
        from pipeline.providers.e5 import E5Encoder
    except ModuleNotFoundError as exc:
        raise ConfigurationError(
            f"KNOWLEDGE_DENSE needs {exc.name}: pip install 'realtime-rag[local-dense]', or set KNOWLEDGE_DENSE=off."
        ) from exc
    return E5Encoder(threads)
