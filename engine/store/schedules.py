"""Statements of engine/sql/schedule.sql: what starts workflows once, at an instant."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.store.query import Query, the_value
from engine.types import TriggerRequest


class ScheduleRow(NamedTuple):
    """A locked schedule, with the latest version of its workflow; `due_at` None: it has fired."""

    id: UUID
    tenant_id: UUID
    workflow_name: str
    input: bytes
    additional_metadata: str | None
    priority: int | None
    parent_run_id: UUID | None
    parent_task_id: UUID | None
    child_index: int | None
    child_key: str | None
    due_at: datetime | None
    version_id: UUID


def next_due() -> Query[datetime | None]:
    """Return one row: when a cron or schedule is due next, if any is."""
    return Query("schedule.next_due", {}, the_value)


def insert(
    tenant_id: UUID,
    workflow_id: UUID,
    request: TriggerRequest,
    times: Sequence[tuple[UUID, datetime]],
    now: datetime,
) -> Query[UUID]:
    """`times` are the ids of the new schedules and when each is due."""
    metadata = request.additional_metadata
    return Query(
        "schedule.insert",
        {
            "tenant_id": tenant_id,
            "workflow_id": workflow_id,
            "ids": [schedule_id for schedule_id, _ in times],
            "trigger_ats": [trigger_at for _, trigger_at in times],
            "input": request.input,
            "metadata": metadata.decode() if metadata else None,
            "priority": request.priority,
            "parent_run_id": request.parent_run_id,
            "parent_task_id": request.parent_task_id,
            "child_index": request.child_index,
            "child_key": request.child_key,
            "now": now,
        },
        the_value,
    )


def due(
    now: datetime, limit: int, *, only: UUID | None = None, but: Collection[UUID] = ()
) -> Query[ScheduleRow]:
    """Of all tenants, of one, or of all but some."""
    params = {"now": now, "limit": limit, "only": only, "but": list(but)}
    return Query("schedule.due", params, ScheduleRow)


def by_id(tenant_id: UUID, schedule_id: UUID) -> Query[ScheduleRow]:
    return Query("schedule.by_id", {"tenant_id": tenant_id, "id": schedule_id}, ScheduleRow)


def due_ids(
    now: datetime, limit: int, *, only: UUID | None = None, but: Collection[UUID] = ()
) -> Query[UUID]:
    params = {"now": now, "limit": limit, "only": only, "but": list(but)}
    return Query("schedule.due_ids", params, the_value)


def due_of(ids: Sequence[UUID], now: datetime) -> Query[ScheduleRow]:
    return Query("schedule.due_of", {"ids": list(ids), "now": now}, ScheduleRow)


def settle(fired: Sequence[tuple[UUID, UUID | None, str | None]], now: datetime) -> Query[UUID]:
    """`fired` are (schedule, run if one came of it, why none did)."""
    return Query(
        "schedule.settle",
        {
            "ids": [f[0] for f in fired],
            "run_ids": [f[1] for f in fired],
            "failures": [f[2] for f in fired],
            "now": now,
        },
        the_value,
    )


def fail(schedule_id: UUID, failure: str, now: datetime) -> Query[UUID]:
    return Query("schedule.fail", {"id": schedule_id, "failure": failure, "now": now}, the_value)


def move(tenant_id: UUID, times: Sequence[tuple[UUID, datetime]], now: datetime) -> Query[UUID]:
    return Query(
        "schedule.move",
        {
            "tenant_id": tenant_id,
            "ids": [schedule_id for schedule_id, _ in times],
            "trigger_ats": [trigger_at for _, trigger_at in times],
            "now": now,
        },
        the_value,
    )


def delete(tenant_id: UUID, ids: Sequence[UUID]) -> Query[UUID]:
    return Query("schedule.delete", {"tenant_id": tenant_id, "ids": list(ids)}, the_value)


def existing(tenant_id: UUID, ids: Sequence[UUID]) -> Query[UUID]:
    return Query("schedule.existing", {"tenant_id": tenant_id, "ids": list(ids)}, the_value)
