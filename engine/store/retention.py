"""Statements of engine/sql/retention.sql: what is old, whether it is needed, and its removal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from engine.store.query import Query, the_value


class PeriodRow(NamedTuple):
    """How long a tenant keeps something; without a kind: that there is the tenant."""

    tenant_id: UUID
    kind: str | None
    seconds: int | None


class Day(NamedTuple):
    """The ids of a UTC day, from `first` to before `until`.

    `late` is a minute after its end: what is made together may lie on both sides of midnight. `holders` are
    the tenants that still keep what is of this day.
    """

    name: str
    first: UUID
    until: UUID
    late: UUID
    holders: Sequence[UUID] = ()


class Cutoffs(NamedTuple):
    """Before which ids (and times, which are starts of days) tenants keep nothing, and the latest of these."""

    tenant_ids: Sequence[UUID]
    befores: Sequence[UUID]
    before_times: Sequence[datetime]
    latest: UUID
    now: datetime


Need = Callable[[Day], Query[bool]]
Removal = Callable[[Cutoffs, UUID, int], Query[UUID]]
"""Removes at most so many rows, from the given key on, and returns their keys."""


def take_turn() -> Query[bool]:
    return Query("retention.take_turn", {}, the_value)


def periods() -> Query[PeriodRow]:
    return Query("retention.periods", {}, PeriodRow)


def days(tables: Sequence[str]) -> Query[str]:
    """Each as YYYYMMDD."""
    return Query("retention.days", {"tables": list(tables)}, the_value)


def drop_day(tables: Sequence[str], day: str) -> Query[bool]:
    return Query("retention.drop_day", {"tables": list(tables), "day": day}, the_value)


def needs_runs(day: Day) -> Query[bool]:
    return Query("retention.needs_runs", _of_day(day), the_value)


def needs_task_events(day: Day) -> Query[bool]:
    return Query("retention.needs_task_events", _of_day(day), the_value)


def needs_durable_logs(day: Day) -> Query[bool]:
    return Query("retention.needs_durable_logs", _of_day(day), the_value)


def needs_payloads(day: Day) -> Query[bool]:
    return Query("retention.needs_payloads", _of_day(day), the_value)


def needs_events(day: Day) -> Query[bool]:
    return Query("retention.needs_events", _of_day(day), the_value)


def needs_lines(day: Day) -> Query[bool]:
    return Query("retention.needs_lines", _of_day(day), the_value)


def needs_spans(day: Day) -> Query[bool]:
    return Query("retention.needs_spans", _of_day(day), the_value)


def lock_runs(cutoffs: Cutoffs, after: UUID, limit: int) -> Query[UUID]:
    return Query("retention.lock_runs", of_batch(cutoffs, after, limit), the_value)


def remove_events(cutoffs: Cutoffs, after: UUID, limit: int) -> Query[UUID]:
    return Query("retention.remove_events", of_batch(cutoffs, after, limit), the_value)


def remove_lines(cutoffs: Cutoffs, after: UUID, limit: int) -> Query[UUID]:
    return Query("retention.remove_lines", of_batch(cutoffs, after, limit), the_value)


def remove_spans(cutoffs: Cutoffs, after: UUID, limit: int) -> Query[UUID]:
    return Query("retention.remove_spans", of_batch(cutoffs, after, limit), the_value)


def remove_child_links(cutoffs: Cutoffs, after: UUID, limit: int) -> Query[UUID]:
    return Query("retention.remove_child_links", of_batch(cutoffs, after, limit), the_value)


def remove_step_waits(cutoffs: Cutoffs, after: UUID, limit: int) -> Query[UUID]:
    return Query("retention.remove_step_waits", of_batch(cutoffs, after, limit), the_value)


def remove_keys(cutoffs: Cutoffs, after: UUID, limit: int) -> Query[UUID]:
    return Query("retention.remove_keys", of_batch(cutoffs, after, limit), the_value)


def remove_tallies(cutoffs: Cutoffs, after: UUID, limit: int) -> Query[UUID]:
    return Query("retention.remove_tallies", of_batch(cutoffs, after, limit), the_value)


def remove_schedules(cutoffs: Cutoffs, after: UUID, limit: int) -> Query[UUID]:
    return Query("retention.remove_schedules", of_batch(cutoffs, after, limit), the_value)


def remove_workers(cutoffs: Cutoffs, after: UUID, limit: int) -> Query[UUID]:
    return Query("retention.remove_workers", of_batch(cutoffs, after, limit), the_value)


def remove_versions(cutoffs: Cutoffs, after: UUID, limit: int) -> Query[UUID]:
    return Query("retention.remove_versions", of_batch(cutoffs, after, limit), the_value)


def remove_sessions(now: datetime, limit: int) -> Query[int]:
    return Query("retention.remove_sessions", {"now": now, "limit": limit}, the_value)


def remove_audit(before: datetime, limit: int) -> Query[int]:
    """How many were removed."""
    return Query("retention.remove_audit", {"before": before, "limit": limit}, the_value)


class OwnPeriod(NamedTuple):
    kind: str
    seconds: int


def periods_of(tenant_id: UUID) -> Query[OwnPeriod]:
    return Query("retention.periods_of", {"tenant_id": tenant_id}, OwnPeriod)


def set_period(tenant_id: UUID, kind: str, seconds: int) -> Query[int]:
    params = {"tenant_id": tenant_id, "kind": kind, "seconds": seconds}
    return Query("retention.set_period", params, the_value)


def forget_period(tenant_id: UUID, kind: str) -> Query[int]:
    return Query("retention.forget_period", {"tenant_id": tenant_id, "kind": kind}, the_value)


def of_batch(cutoffs: Cutoffs, after: UUID, limit: int) -> dict[str, Any]:
    """Return the parameters of a removal; a statement takes of them what it needs."""
    return {
        "tenant_ids": list(cutoffs.tenant_ids),
        "befores": list(cutoffs.befores),
        "before_times": list(cutoffs.before_times),
        "latest": cutoffs.latest,
        "after": after,
        "limit": limit,
    }


def _of_day(day: Day) -> dict[str, Any]:
    holders = list(day.holders)
    return {"first": day.first, "until": day.until, "late": day.late, "holders": holders}
