"""Statements of engine/sql/task.sql about waiting attempts, for a scheduler's memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from engine.store.query import Query, the_value


class QueuedRow(NamedTuple):
    id: UUID
    retry_count: int
    action_id: str
    queue_priority: int
    version_id: UUID
    step_id: UUID
    desired_worker_id: UUID | None
    desired_labels: str | None
    concurrency_keys: str | None
    is_evicted: bool
    is_delayed: bool
    has_begun: bool


def queue_head(tenant_id: UUID, action_id: str, limit: int) -> Query[QueuedRow]:
    return Query(
        "task.queue_head",
        {"tenant_id": tenant_id, "action_id": action_id, "limit": limit},
        QueuedRow,
    )


def queued_actions(tenant_id: UUID) -> Query[str]:
    return Query("task.queued_actions", {"tenant_id": tenant_id}, the_value)


def queued_by_ids(tenant_id: UUID, ids: Sequence[UUID]) -> Query[QueuedRow]:
    return Query("task.by_ids_queued", {"tenant_id": tenant_id, "ids": list(ids)}, QueuedRow)


class QueuePlace(NamedTuple):
    """Where a task stands among those of a tenant, by when they were queued."""

    queued_at: datetime
    task_id: UUID


FIRST_PLACE = QueuePlace(datetime.fromtimestamp(0, UTC), UUID(int=0))


def queued_in_groups(
    tenant_id: UUID, after: QueuePlace, limit: int
) -> Query[tuple[QueuedRow, QueuePlace]]:
    return Query(
        "task.queued_in_groups",
        {
            "tenant_id": tenant_id,
            "after": after.queued_at,
            "after_id": after.task_id,
            "limit": limit,
        },
        _placed,
    )


class PlacedRow(NamedTuple):
    id: UUID
    retry_count: int
    queued_at: datetime
    is_delayed: bool


def places_in_groups(tenant_id: UUID, after: QueuePlace, limit: int) -> Query[PlacedRow]:
    params = {"tenant_id": tenant_id, "after": after.queued_at, "after_id": after.task_id}
    return Query("task.places_in_groups", params | {"limit": limit}, PlacedRow)


def _placed(*columns: Any) -> tuple[QueuedRow, QueuePlace]:
    row = QueuedRow(*columns[:-1])
    return row, QueuePlace(columns[-1], row.id)


def evicted_in_groups(tenant_id: UUID) -> Query[QueuedRow]:
    return Query("task.evicted_in_groups", {"tenant_id": tenant_id}, QueuedRow)


def set_keys(keys: Sequence[tuple[UUID, str | None]]) -> Query[UUID]:
    """`keys` are (task id, concurrency keys)."""
    return Query(
        "task.set_keys",
        {"ids": [k[0] for k in keys], "concurrency_keys": [k[1] for k in keys]},
        the_value,
    )


def restart_clocks(clocks: Sequence[tuple[UUID, int, float]], now: datetime) -> Query[UUID]:
    """`clocks` are (task id, retry count, schedule timeout in seconds)."""
    return Query(
        "task.restart_clocks",
        {
            "ids": [c[0] for c in clocks],
            "retry_counts": [c[1] for c in clocks],
            "timeouts": [c[2] for c in clocks],
            "now": now,
        },
        the_value,
    )


def still_live(attempts: Sequence[tuple[UUID, int]]) -> Query[UUID]:
    return Query(
        "task.still_live",
        {"ids": [a[0] for a in attempts], "retry_counts": [a[1] for a in attempts]},
        the_value,
    )
