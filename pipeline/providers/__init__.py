"""Providers: whoever knows answers here, behind one protocol; see docs/providers.md."""

from pipeline.providers.base import Asked, Delta, End, Item, Provider, Replace, Turn
from pipeline.providers.catalog import build_provider, open_provider
from pipeline.providers.errors import ProviderError
from pipeline.providers.index import KnowledgeIndex
from pipeline.providers.indexing import IndexReport, build_index
from pipeline.providers.local import citation, look_up
from pipeline.providers.opening import encoder_of, index_path, open_knowledge, update_knowledge

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
    "encoder_of",
    "index_path",
    "look_up",
    "open_knowledge",
    "open_provider",
    "update_knowledge",
]
