"""Makes a worker, if its tenant may have another one."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from engine.operations.parts.count_usage import hold
from engine.store import workers
from engine.store.query import Operation, fetch, fetch_last
from engine.types import WorkerRegistration
from tenants.limits import enforced
from tenants.resources import Resource


def register_worker(
    worker_id: UUID, tenant_id: UUID, registration: WorkerRegistration, now: datetime
) -> Operation[None]:
    """Insert a worker under this id. LimitReached: with it, or its slots, there would be too many."""
    insert = workers.insert(worker_id, tenant_id, registration, now)
    if not enforced():
        yield from fetch_last(insert)
        return
    yield from fetch(insert)
    yield from hold(tenant_id, Resource.WORKER, 1, now)
    yield from hold(tenant_id, Resource.WORKER_SLOT, sum(registration.slots.values()), now)
