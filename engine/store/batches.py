"""Statements of engine/sql/batch.sql: which tasks run together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.ids import new_id
from engine.store.query import Query, no_row


class Membership(NamedTuple):
    """That an attempt runs in a batch; `message` is what the event log says of it."""

    task_id: UUID
    retry_count: int
    batch_id: UUID
    message: str


class RunningMember(NamedTuple):
    task_id: UUID
    tenant_id: UUID
    batch_id: UUID
    retry_count: int


class UndeliveredMember(NamedTuple):
    task_id: UUID
    batch_id: UUID | None
    concurrency_keys: str | None
    assigned_at: datetime


def mark(members: Sequence[Membership], now: datetime) -> Query[None]:
    return Query(
        "batch.mark",
        {
            "now": now,
            "ids": [m.task_id for m in members],
            "retry_counts": [m.retry_count for m in members],
            "batch_ids": [m.batch_id for m in members],
            "event_ids": [new_id() for _ in members],
            "messages": [m.message for m in members],
        },
        no_row,
    )


def running_members(claimed: Sequence[tuple[UUID, UUID, UUID]]) -> Query[RunningMember]:
    """`claimed` are (task id, tenant id, batch id)."""
    return Query(
        "batch.running_members",
        {
            "ids": [c[0] for c in claimed],
            "tenant_ids": [c[1] for c in claimed],
            "batch_ids": [c[2] for c in claimed],
        },
        RunningMember,
    )


def undelivered(ids: Sequence[UUID]) -> Query[UndeliveredMember]:
    return Query("batch.undelivered", {"ids": list(ids)}, UndeliveredMember)


def abandoned(ids: Sequence[UUID], worker_ids: Sequence[UUID]) -> Query[tuple[UUID, UUID]]:
    """Return (task id, batch id)."""
    return Query(
        "batch.abandoned",
        {"ids": list(ids), "worker_ids": list(worker_ids)},
        lambda task_id, batch_id: (task_id, batch_id),
    )
