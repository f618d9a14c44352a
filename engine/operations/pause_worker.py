"""Pauses and resumes workers."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from engine.errors import NotFound
from engine.store import workers
from engine.store.changes import Changes
from engine.store.query import Operation, fetch


def pause_worker(
    tenant_id: UUID, worker_id: UUID, *, is_paused: bool, now: datetime
) -> Operation[None]:
    """Stop or resume giving a worker new tasks; what it runs goes on. NotFound if unknown."""
    if not (yield from fetch(workers.set_paused(tenant_id, worker_id, is_paused, now))):
        raise NotFound("worker not found")
    yield Changes(workers=[(tenant_id, worker_id)], pages={(tenant_id, "workers")})
