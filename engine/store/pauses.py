"""Statements of engine/sql/pause.sql: paused workflows and the tasks they hold back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.store.query import Query, the_value


class HeldRow(NamedTuple):
    id: UUID
    retry_count: int
    tenant_id: UUID
    run_id: UUID


def pause(
    tenant_id: UUID, workflow_id: UUID, *, cron: str, scheduled: str, ttl: float, now: datetime
) -> Query[UUID]:
    params = {"id": workflow_id, "tenant_id": tenant_id, "cron": cron, "scheduled": scheduled}
    return Query("pause.set", params | {"ttl": ttl, "now": now}, the_value)


def clear(tenant_id: UUID, workflow_id: UUID, now: datetime) -> Query[UUID]:
    return Query("pause.clear", {"id": workflow_id, "tenant_id": tenant_id, "now": now}, the_value)


def of_tenant(tenant_id: UUID) -> Query[UUID]:
    return Query("pause.of_tenant", {"tenant_id": tenant_id}, the_value)


def hold(tenant_ids: Sequence[UUID]) -> Query[HeldRow]:
    return Query("pause.hold", {"tenant_ids": list(tenant_ids)}, HeldRow)


def move_ends(ids: Sequence[UUID], ttl: float) -> Query[UUID]:
    return Query("pause.move_ends", {"ids": list(ids), "ttl": ttl}, the_value)


def held(tenant_id: UUID, workflow_id: UUID) -> Query[UUID]:
    return Query("pause.held", {"tenant_id": tenant_id, "workflow_id": workflow_id}, the_value)
