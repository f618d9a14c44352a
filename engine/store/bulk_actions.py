"""Statements of engine/sql/bulk_action.sql."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.states import BulkKind, Status
from engine.store.query import Query, no_row, the_value
from engine.types import RunFilter


class BulkActionRow(NamedTuple):
    """An action that is being worked on. What it selects is kept as `run.matching` takes it."""

    id: UUID
    tenant_id: UUID
    kind: int
    since: datetime
    until: datetime
    statuses: Sequence[int]
    workflow_ids: Sequence[UUID]
    metadata_keys: Sequence[str]
    metadata_values: Sequence[str]
    needs_every_pair: bool
    error_group_id: UUID | None
    cursor: UUID | None

    @property
    def run_filter(self) -> RunFilter:
        return RunFilter(
            since=self.since,
            until=self.until,
            statuses=tuple(map(Status, self.statuses)),
            workflow_ids=tuple(self.workflow_ids),
            additional_metadata=tuple(zip(self.metadata_keys, self.metadata_values, strict=True)),
            needs_every_pair=self.needs_every_pair,
            error_group_id=self.error_group_id,
        )


class Progress(NamedTuple):
    """What was done with the next runs of an action; `cursor` is the last of them, if there were any."""

    cursor: UUID | None
    done: int
    changed: int
    collisions: int
    is_last: bool


def stage(
    action_id: UUID,
    tenant_id: UUID,
    kind: BulkKind,
    run_filter: RunFilter,
    *,
    total: int,
    now: datetime,
) -> Query[None]:
    return Query(
        "bulk_action.stage",
        {
            "id": action_id,
            "tenant_id": tenant_id,
            "kind": int(kind),
            "since": run_filter.since,
            "until": run_filter.until,
            "statuses": [int(status) for status in run_filter.statuses],
            "workflow_ids": list(run_filter.workflow_ids),
            "metadata_keys": [key for key, _ in run_filter.additional_metadata],
            "metadata_values": [value for _, value in run_filter.additional_metadata],
            "needs_every_pair": run_filter.needs_every_pair,
            "error_group_id": run_filter.error_group_id,
            "total": total,
            "now": now,
        },
        no_row,
    )


def open_number(tenant_id: UUID) -> Query[int]:
    return Query("bulk_action.open_number", {"tenant_id": tenant_id}, the_value)


def start(tenant_id: UUID, action_id: UUID, now: datetime) -> Query[UUID]:
    params = {"tenant_id": tenant_id, "id": action_id, "now": now}
    return Query("bulk_action.start", params, the_value)


def stop(tenant_id: UUID, action_id: UUID, now: datetime) -> Query[UUID]:
    params = {"tenant_id": tenant_id, "id": action_id, "now": now}
    return Query("bulk_action.stop", params, the_value)


def running(limit: int) -> Query[UUID]:
    return Query("bulk_action.running", {"limit": limit}, the_value)


def take(action_id: UUID) -> Query[BulkActionRow]:
    return Query("bulk_action.take", {"id": action_id}, BulkActionRow)


def advance(action_id: UUID, progress: Progress, now: datetime) -> Query[UUID]:
    params = {"id": action_id, **progress._asdict(), "now": now}
    return Query("bulk_action.advance", params, the_value)


def fail(action_id: UUID, error: str, now: datetime) -> Query[UUID]:
    return Query("bulk_action.fail", {"id": action_id, "error": error, "now": now}, the_value)


def forget(before_id: UUID) -> Query[UUID]:
    return Query("bulk_action.forget", {"before_id": before_id}, the_value)
