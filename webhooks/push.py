"""The one place where a delivery becomes an event: by the operation of every pushed event."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from engine.operations.push_events import push_events
from engine.store import sync_db
from engine.types import EventInput, EventRecord


def push(tenant_id: UUID, event: EventInput, now: datetime) -> EventRecord:
    """Store the event and start what listens for it, within the caller's transaction if there is one."""
    [record] = sync_db.run(push_events(tenant_id, [event], now))
    return record
