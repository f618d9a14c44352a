"""Read querysets over workers and what state they are in."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.db.models import QuerySet

from engine.models.cluster import Worker

HEARTBEAT_IS_STALE_AFTER = timedelta(seconds=5)
FORGOTTEN_AFTER = timedelta(hours=24)


class WorkerStatus(StrEnum):
    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"
    PAUSED = "PAUSED"


def status_of(worker: Worker, now: datetime) -> WorkerStatus:
    """A stale heartbeat says more than a pause: who is gone is not paused."""
    if trouble_of(worker, now):
        return WorkerStatus.INACTIVE
    return WorkerStatus.PAUSED if worker.is_paused else WorkerStatus.ACTIVE


def trouble_of(worker: Worker, now: datetime) -> str:
    """Say why a worker gets no new tasks although nobody paused it; nothing if it does get some."""
    heartbeat = worker.last_heartbeat_at
    if heartbeat is None or now - heartbeat > HEARTBEAT_IS_STALE_AFTER:
        return (
            "No heartbeat for more than 5 seconds: it gets no new tasks. After 30 seconds its tasks are"
            " given to other workers."
        )
    if not worker.is_active:
        return "It sends heartbeats and has no open stream of tasks: it gets no new ones."
    if worker.stalled_since is not None:
        return (
            "It sends heartbeats and does not acknowledge the tasks it was sent since"
            f" {worker.stalled_since:%Y-%m-%d %H:%M:%S} UTC: it gets no new ones until it does, or connects"
            " anew."
        )
    return ""


def workers_of(tenant_id: UUID) -> QuerySet[Worker]:
    return Worker.objects.filter(tenant_id=tenant_id)


def seen_workers(tenant_id: UUID, now: datetime) -> QuerySet[Worker]:
    """Workers with a heartbeat in the last 24 hours, most recently seen first."""
    return (
        workers_of(tenant_id)
        .filter(last_heartbeat_at__gt=now - FORGOTTEN_AFTER)
        .order_by("-last_heartbeat_at", "id")
    )
