"""What integration tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """Ends at the end of the test what entered it."""
    async with AsyncExitStack() as stack:
        yield stack
