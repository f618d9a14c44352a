"""Statements of engine/sql/cron.sql: what starts workflows again and again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.domain.cron.firing import Missed
from engine.ids import new_id
from engine.store.query import Query, the_value


class CronRow(NamedTuple):
    """A locked cron, with the latest version of its workflow."""

    id: UUID
    tenant_id: UUID
    workflow_name: str
    expression: str
    name: str
    input: bytes
    additional_metadata: str | None
    priority: int | None
    due_at: datetime | None
    fired_at: datetime | None
    created_at: datetime
    missed: int
    version_id: UUID
    is_dropped: bool
    """A paused workflow lets its times pass."""


class DueRow(NamedTuple):
    """A locked cron that is due, as little of it as can be."""

    expression: str
    due_at: datetime
    created_at: datetime


class Advance(NamedTuple):
    id: UUID
    due_at: datetime | None
    fired_at: datetime | None


class NewCron(NamedTuple):
    id: UUID
    tenant_id: UUID
    workflow_id: UUID
    name: str
    expression: str
    input: bytes
    metadata: str | None
    priority: int | None
    due_at: datetime | None
    missed: int


def replace_declared(
    tenant_id: UUID,
    workflow_id: UUID,
    due: Sequence[tuple[str, datetime | None]],
    *,
    cron_input: bytes,
    now: datetime,
) -> Query[UUID]:
    """`due` are expressions with the first time each is due."""
    return Query(
        "cron.replace_declared",
        {
            "tenant_id": tenant_id,
            "workflow_id": workflow_id,
            "ids": [new_id() for _ in due],
            "expressions": [expression for expression, _ in due],
            "due_ats": [due_at for _, due_at in due],
            "input": cron_input,
            "now": now,
        },
        the_value,
    )


def insert(cron: NewCron, now: datetime) -> Query[UUID]:
    return Query("cron.insert", {**cron._asdict(), "now": now}, the_value)


def due(
    now: datetime, limit: int, *, only: UUID | None = None, but: Collection[UUID] = ()
) -> Query[CronRow]:
    """Of all tenants, of one, or of all but some."""
    params = {"now": now, "limit": limit, "only": only, "but": list(but)}
    return Query("cron.due", params, CronRow)


def due_ids(
    now: datetime, limit: int, *, only: UUID | None = None, but: Collection[UUID] = ()
) -> Query[UUID]:
    params = {"now": now, "limit": limit, "only": only, "but": list(but)}
    return Query("cron.due_ids", params, the_value)


def due_of(ids: Sequence[UUID], now: datetime) -> Query[CronRow]:
    return Query("cron.due_of", {"ids": list(ids), "now": now}, CronRow)


def lock_due(cron_id: UUID, now: datetime) -> Query[DueRow]:
    return Query("cron.lock_due", {"id": cron_id, "now": now}, DueRow)


def by_id(tenant_id: UUID, cron_id: UUID) -> Query[CronRow]:
    return Query("cron.by_id", {"tenant_id": tenant_id, "id": cron_id}, CronRow)


def advance(advances: Sequence[Advance]) -> Query[UUID]:
    return Query(
        "cron.advance",
        {
            "ids": [a.id for a in advances],
            "due_ats": [a.due_at for a in advances],
            "fired_ats": [a.fired_at for a in advances],
        },
        the_value,
    )


def record_misses(missed: Sequence[tuple[UUID, Missed]], now: datetime) -> Query[UUID]:
    """Write down times that crons missed, one entry for each of these crons."""
    return Query(
        "cron.record_misses",
        {
            "ids": [new_id() for _ in missed],
            "cron_ids": [cron_id for cron_id, _ in missed],
            "causes": [int(m.cause) for _, m in missed],
            "details": [m.detail for _, m in missed],
            "counts": [m.times for _, m in missed],
            "first_ats": [m.first_at for _, m in missed],
            "last_ats": [m.last_at for _, m in missed],
            "now": now,
        },
        the_value,
    )


def forget_misses(before: UUID) -> Query[UUID]:
    """Forget what was missed before the time of this id; some at a time."""
    return Query("cron.forget_misses", {"before": before}, the_value)


def set_enabled(
    cron_id: UUID, *, is_enabled: bool, due_at: datetime | None, now: datetime
) -> Query[UUID]:
    return Query(
        "cron.set_enabled",
        {"id": cron_id, "is_enabled": is_enabled, "due_at": due_at, "now": now},
        the_value,
    )


def set_missed(tenant_id: UUID, cron_id: UUID, missed: int, now: datetime) -> Query[UUID]:
    params = {"tenant_id": tenant_id, "id": cron_id, "missed": int(missed), "now": now}
    return Query("cron.set_missed", params, the_value)


def delete(tenant_id: UUID, cron_id: UUID) -> Query[UUID]:
    return Query("cron.delete", {"tenant_id": tenant_id, "id": cron_id}, the_value)
