"""What integration tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tests.batch_service import Batch, batch_service
from tests.brokers import Broker


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """Ends at the end of the test what entered it."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def batch(kafka: Broker, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Batch]:
    """The bulk lane for the tests of a module."""
    async with batch_service(kafka, tmp_path_factory.mktemp("batch")) as service:
        yield service
