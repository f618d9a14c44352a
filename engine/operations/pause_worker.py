"""Pauses and resumes workers, and says so."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from engine.errors import NotFound
from engine.store import workers
from engine.store.hints import ENGINE_CHANNEL, LIVE_CHANNEL, Hint, live_message, notify
from engine.store.query import Operation, fetch


def pause_worker(
    tenant_id: UUID, worker_id: UUID, *, is_paused: bool, now: datetime
) -> Operation[None]:
    """Stop or resume giving a worker new tasks; what it runs goes on. NotFound if unknown."""
    if not (yield from fetch(workers.set_paused(tenant_id, worker_id, is_paused, now))):
        raise NotFound("worker not found")
    yield from announce_worker(tenant_id, worker_id)


def announce_worker(tenant_id: UUID, worker_id: UUID) -> Operation[None]:
    """Tell the tenant's scheduler and open dashboards that a worker's row changed."""
    hint = Hint(tenant_id, workers=[worker_id])
    messages = [(ENGINE_CHANNEL, message.decode()) for message in hint.messages()]
    messages.append((LIVE_CHANNEL, live_message(tenant_id, [], ["workers"])))
    yield from fetch(notify(messages))
