"""Engine tests commit: each works in a tenant of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from engine.runtime.engine import HatchetEngine
from tests.runtime.harness import engine_on, make_tenant


@pytest.fixture
def tenant_id(committed_db: None) -> UUID:
    return make_tenant()


@pytest.fixture
def stranger_id(committed_db: None) -> UUID:
    return make_tenant()


@pytest.fixture
async def engine(conninfo: str, tenant_id: UUID) -> AsyncIterator[HatchetEngine]:
    async with engine_on(conninfo) as running:
        yield running
