"""The version that the gateway says it has."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def _installed() -> str:
    try:
        return version("realtime-rag")
    except PackageNotFoundError:  # run from the source tree
        return "0.0.0+source"


VERSION = _installed()
