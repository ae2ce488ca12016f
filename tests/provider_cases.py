"""Providers set up against the fakes, and how tests ask them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from ops.contract.ours import QUESTION
from pipeline.providers import Asked, Delta, End, Provider

KNOWLEDGE = Path(__file__).parent / "data" / "knowledge"

Open = Callable[..., Awaitable[Provider]]


async def told(provider: Provider, asked: Asked = QUESTION) -> tuple[list[str], End]:
    *pieces, end = [piece async for piece in provider.stream(asked)]
    assert isinstance(end, End)
    return [piece.text for piece in pieces if isinstance(piece, Delta)], end
