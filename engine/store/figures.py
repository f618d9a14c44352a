"""Statements of engine/sql/figure.sql: what happened, counted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.domain import histogram
from engine.ids import id_at
from engine.states import Status, TaskEventKind, TenantMetric, Timed
from engine.store.query import Query, no_row, the_value

NO_WORKFLOW = UUID(int=0)
SUM = -1
"""The bucket under which the sum of a histogram is kept."""


class Position(NamedTuple):
    counted_until: datetime
    oldest_open: datetime | None
    """When the oldest transaction began that has written something and goes on."""


class Gathered(NamedTuple):
    """Events of one kind, if `timed` is None; else times of one bucket, with their sum in seconds."""

    tenant_id: UUID
    kind: TaskEventKind | int
    counts_once: bool
    workflow_id: UUID
    version_id: UUID
    timed: Timed | None
    status: Status
    bucket: int
    scraped_bucket: int
    number: int
    seconds: float


class ToldApart(NamedTuple):
    """A workflow whose runs have totals of their own."""

    tenant_id: UUID
    workflow_id: UUID


class TotalKey(NamedTuple):
    """Which number of a tenant; see models.TenantTotal."""

    tenant_id: UUID
    metric: TenantMetric
    workflow_id: UUID = NO_WORKFLOW
    status: int = 0
    bucket: int = 0


class Total(NamedTuple):
    """A number of a tenant as it stands; the first five say which, as a `TotalKey`."""

    tenant_id: UUID
    metric: int
    workflow_id: UUID
    status: int
    bucket: int
    value: float


class Timing(NamedTuple):
    """How long something took by bucket (domain/histogram.py), for the runs of one version."""

    workflow_id: UUID
    version_id: UUID
    timed: int
    buckets: Sequence[int]
    counts: Sequence[int]
    total_seconds: float


class OfferedSlots(NamedTuple):
    id: UUID
    slots: float


def begin(at: datetime) -> Query[None]:
    return Query("figure.begin", {"at": at}, no_row)


def claim() -> Query[Position]:
    return Query("figure.claim", {}, Position)


def gather(since: datetime, until: datetime) -> Query[Gathered]:
    """What was written from `since` until before `until`, to the millisecond."""
    return Query(
        "figure.gather",
        {
            "first_id": id_at(since),
            "end_id": id_at(until),
            "shortest": histogram.SHORTEST_SECONDS,
            "growth": histogram.GROWTH,
            "last_bucket": histogram.LAST_BUCKET,
            "scraped": list(histogram.SCRAPED_SECONDS),
        },
        Gathered,
    )


def told_apart(tenant_ids: Collection[UUID]) -> Query[ToldApart]:
    return Query("figure.told_apart", {"tenant_ids": sorted(tenant_ids)}, ToldApart)


def add_totals(amounts: Mapping[TotalKey, float]) -> Query[None]:
    keys = list(amounts)
    return Query(
        "figure.add_totals",
        {
            "tenant_ids": [key.tenant_id for key in keys],
            "metrics": [int(key.metric) for key in keys],
            "workflow_ids": [key.workflow_id for key in keys],
            "statuses": [int(key.status) for key in keys],
            "buckets": [key.bucket for key in keys],
            "amounts": list(amounts.values()),
        },
        no_row,
    )


def add_timings(minute: datetime, rows: Sequence[Gathered]) -> Query[None]:
    return Query(
        "figure.add_timings",
        {
            "minute": minute,
            "tenant_ids": [row.tenant_id for row in rows],
            "workflow_ids": [row.workflow_id for row in rows],
            "version_ids": [row.version_id for row in rows],
            "timeds": [row.timed for row in rows],
            "buckets": [row.bucket for row in rows],
            "numbers": [row.number for row in rows],
            "seconds": [row.seconds for row in rows],
        },
        no_row,
    )


def advance(until: datetime) -> Query[None]:
    return Query("figure.advance", {"until": until}, no_row)


def merge_hour(before: datetime) -> Query[int]:
    """One row for each that was merged; `before` is the beginning of an hour."""
    return Query("figure.merge_hour", {"before": before}, the_value)


def expire_timings(before: datetime, at_most: int) -> Query[int]:
    return Query("figure.expire_timings", {"before": before, "at_most": at_most}, the_value)


def forget_workflows() -> Query[int]:
    return Query("figure.forget_workflows", {}, the_value)


def totals(tenant_id: UUID) -> Query[Total]:
    return Query("figure.totals", {"tenant_id": tenant_id}, Total)


def timings(
    tenant_id: UUID, since: datetime, until: datetime, workflow_ids: Sequence[UUID], limit: int
) -> Query[Timing]:
    """Of these workflows, or of all without any; `limit` are the most rows."""
    return Query(
        "figure.timings",
        {
            "tenant_id": tenant_id,
            "since": since,
            "until": until,
            "workflow_ids": list(workflow_ids),
            "limit": limit,
        },
        Timing,
    )


def position() -> Query[datetime]:
    return Query("figure.position", {}, the_value)


def slots(tenant_id: UUID, heard_since: datetime) -> Query[OfferedSlots]:
    """Slots by worker."""
    return Query("figure.slots", {"tenant_id": tenant_id, "since": heard_since}, OfferedSlots)


class TableSize(NamedTuple):
    name: str
    bytes: int


def oldest_queued(tenant_ids: Collection[UUID]) -> Query[datetime | None]:
    """Of all queues of these tenants; None: nothing waits."""
    return Query("figure.oldest_queued", {"tenant_ids": list(tenant_ids)}, the_value)


def table_sizes() -> Query[TableSize]:
    return Query("figure.table_sizes", {}, TableSize)


class KeyInUse(NamedTuple):
    """A key of the strategy that stands at this place of the task's chain, or of its run's, counted from 1."""

    version_id: UUID
    step_id: UUID
    status: Status
    is_of_run: bool
    place: int
    key: str
    number: int


def keys_in_use(tenant_id: UUID, limit: int) -> Query[KeyInUse]:
    return Query("figure.keys_in_use", {"tenant_id": tenant_id, "limit": limit}, KeyInUse)
