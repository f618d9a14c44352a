"""Statements of engine/sql/task.sql that assign attempts to workers and read what they are to be sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.ids import new_id
from engine.store.query import Query


class Wanted(NamedTuple):
    """A scheduler's decision: this attempt to that worker."""

    id: UUID
    retry_count: int
    worker_id: UUID
    timeout_seconds: float


class AssignedRow(NamedTuple):
    """An assigned attempt with what its worker needs."""

    id: UUID
    run_id: UUID
    retry_count: int
    step_id: UUID
    version_id: UUID
    worker_id: UUID
    created_at: datetime
    priority: int
    additional_metadata: str | None
    parent_run_id: UUID | None
    child_index: int | None
    child_key: str | None
    event_id: UUID | None
    event_key: str | None
    input: bytes | None
    filter_payload: bytes | None


def assign(decisions: Sequence[Wanted], now: datetime) -> Query[AssignedRow]:
    return Query(
        "task.assign",
        {
            "now": now,
            "ids": [w.id for w in decisions],
            "retry_counts": [w.retry_count for w in decisions],
            "worker_ids": [w.worker_id for w in decisions],
            "timeouts": [w.timeout_seconds for w in decisions],
            "event_ids": [new_id() for _ in decisions],
        },
        AssignedRow,
        is_for_start=True,
    )


def undelivered_of_worker(
    worker_ids: Sequence[UUID], task_ids: Sequence[UUID] | None = None
) -> Query[AssignedRow]:
    return Query(
        "task.undelivered_of_worker",
        {
            "worker_ids": list(worker_ids),
            "task_ids": None if task_ids is None else list(task_ids),
        },
        AssignedRow,
        is_for_start=True,
    )
