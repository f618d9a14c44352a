"""Statements of engine/sql/deleted_tenant.sql."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from engine.store.query import Query, the_value


def remove_keys() -> Query[UUID]:
    return Query("deleted_tenant.remove_keys", {}, the_value)


def lock_runs(limit: int) -> Query[UUID]:
    return Query("deleted_tenant.lock_runs", {"limit": limit}, the_value)


def lock_tasks(run_ids: Sequence[UUID]) -> Query[UUID]:
    return Query("deleted_tenant.lock_tasks", {"run_ids": list(run_ids)}, the_value)


def remove_runs(run_ids: Sequence[UUID], task_ids: Sequence[UUID]) -> Query[UUID]:
    params = {"run_ids": list(run_ids), "task_ids": list(task_ids)}
    return Query("deleted_tenant.remove_runs", params, the_value)


def remove_events(limit: int) -> Query[UUID]:
    return Query("deleted_tenant.remove_events", {"limit": limit}, the_value)


def remove_numerous(limit: int) -> Query[int]:
    return Query("deleted_tenant.remove_numerous", {"limit": limit}, the_value)


def emptied(before: datetime) -> Query[UUID]:
    return Query("deleted_tenant.emptied", {"before": before}, the_value)


def remove(tenant_ids: Sequence[UUID]) -> Query[UUID]:
    return Query("deleted_tenant.remove", {"tenant_ids": list(tenant_ids)}, the_value)
