"""Providers: whoever knows answers here, behind one protocol; see docs/providers.md."""

from pipeline.providers.base import Asked, Delta, End, Item, Provider, Replace, Turn
from pipeline.providers.catalog import build_provider, index_path, open_provider
from pipeline.providers.errors import ProviderError
from pipeline.providers.index import KnowledgeIndex
from pipeline.providers.indexing import IndexReport, build_index
from pipeline.providers.local import citation, look_up

__all__ = [
    "Asked",
    "Delta",
    "End",
    "IndexReport",
    "Item",
    "KnowledgeIndex",
    "Provider",
    "ProviderError",
    "Replace",
    "Turn",
    "build_index",
    "build_provider",
    "citation",
    "index_path",
    "look_up",
    "open_provider",
]
