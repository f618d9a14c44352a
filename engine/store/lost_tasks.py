"""Attempts that no worker may be running, and those that surely run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.store.query import Query, the_value


class LostAttempt(NamedTuple):
    id: UUID
    run_id: UUID
    retry_count: int


class Swallowed(NamedTuple):
    """An attempt that went over its worker's stream and was not acknowledged.

    `is_heard` says that the worker acknowledged what it was sent later.
    """

    id: UUID
    run_id: UUID
    retry_count: int
    worker_id: UUID
    assigned_at: datetime
    internal_retry_count: int
    is_heard: bool


def on_lost_workers(
    worker_ids: Sequence[UUID], silent_since: datetime, limit: int
) -> Query[LostAttempt]:
    return Query(
        "task.on_lost_workers",
        {"worker_ids": list(worker_ids), "silent_since": silent_since, "limit": limit},
        LostAttempt,
    )


def undelivered(ids: Sequence[UUID], quiet_since: datetime) -> Query[LostAttempt]:
    return Query("task.undelivered", {"ids": list(ids), "quiet_since": quiet_since}, LostAttempt)


def swallowed(ids: Sequence[UUID], sent_before: datetime) -> Query[Swallowed]:
    return Query("task.swallowed", {"ids": list(ids), "sent_before": sent_before}, Swallowed)


def still_running(attempts: Sequence[tuple[UUID, int]]) -> Query[UUID]:
    return Query(
        "task.still_running",
        {"ids": [a[0] for a in attempts], "retry_counts": [a[1] for a in attempts]},
        the_value,
    )
