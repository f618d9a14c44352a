"""Engine tests commit: each works in a tenant of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from uuid import UUID

import pytest

from engine.runtime.engine import HatchetEngine
from tests.recorder import Recorder, recording
from tests.runtime.harness import engine_on, make_tenant


@pytest.fixture
def tenant_id(committed_db: None) -> UUID:
    return make_tenant()


@pytest.fixture
def stranger_id(committed_db: None) -> UUID:
    return make_tenant()


@pytest.fixture(autouse=True)
def recorder() -> Iterator[Recorder]:
    """Hears all that happens in the test; what is emitted must be as it is listed."""
    with recording() as heard:
        yield heard


@pytest.fixture
async def engine(
    conninfo: str, tenant_id: UUID, recorder: Recorder
) -> AsyncIterator[HatchetEngine]:
    async with engine_on(conninfo) as running:
        yield running
