"""Statements of engine/sql/error_group.sql: failures of attempts, and what groups they make."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.domain.fingerprints import Fingerprint
from engine.ids import new_id
from engine.states import ErrorState
from engine.store.query import Query, no_row, the_value


class Failed(NamedTuple):
    """An attempt that failed; `is_final` if no retry follows."""

    tenant_id: UUID
    run_id: UUID
    task_id: UUID
    retry_count: int
    workflow_id: UUID
    version_id: UUID
    action_id: str
    worker_id: UUID | None
    is_final: bool
    fingerprint: Fingerprint


class FailedRow(NamedTuple):
    """The same as it is kept until it is counted."""

    id: UUID
    tenant_id: UUID
    run_id: UUID
    task_id: UUID
    retry_count: int
    workflow_id: UUID
    version_id: UUID
    action_id: str
    worker_id: UUID | None
    is_final: bool
    at: datetime
    digest: bytes
    type: str
    message: str
    frame: str


class Counted(NamedTuple):
    """Failures of one fingerprint: the latest, how many there are, and since when."""

    latest: FailedRow
    number: int
    final_count: int
    first_at: datetime


class Group(NamedTuple):
    """A group after failures were counted into it."""

    id: UUID
    tenant_id: UUID
    digest: bytes
    is_new: bool
    is_reopened: bool


class Tally(NamedTuple):
    group_id: UUID
    hour: datetime
    version_id: UUID
    worker_id: UUID
    number: int


def note(failed: Sequence[Failed], now: datetime) -> Query[None]:
    prints = [one.fingerprint for one in failed]
    return Query(
        "error_group.note",
        {
            "now": now,
            "ids": [new_id() for _ in failed],
            "tenant_ids": [one.tenant_id for one in failed],
            "run_ids": [one.run_id for one in failed],
            "task_ids": [one.task_id for one in failed],
            "retry_counts": [one.retry_count for one in failed],
            "workflow_ids": [one.workflow_id for one in failed],
            "version_ids": [one.version_id for one in failed],
            "action_ids": [one.action_id for one in failed],
            "worker_ids": [one.worker_id for one in failed],
            "finals": [one.is_final for one in failed],
            "digests": [one.digest for one in prints],
            "types": [one.type for one in prints],
            "messages": [one.message for one in prints],
            "frames": [one.frame for one in prints],
        },
        no_row,
    )


def take(limit: int) -> Query[FailedRow]:
    return Query("error_group.take", {"limit": limit}, FailedRow)


def add(counted: Sequence[Counted], now: datetime) -> Query[Group]:
    latest = [one.latest for one in counted]
    return Query(
        "error_group.add",
        {
            "now": now,
            "ids": [new_id() for _ in counted],
            "tenant_ids": [row.tenant_id for row in latest],
            "digests": [bytes(row.digest) for row in latest],
            "workflow_ids": [row.workflow_id for row in latest],
            "action_ids": [row.action_id for row in latest],
            "types": [row.type for row in latest],
            "messages": [row.message for row in latest],
            "frames": [row.frame for row in latest],
            "counts": [one.number for one in counted],
            "final_counts": [one.final_count for one in counted],
            "firsts": [one.first_at for one in counted],
            "lasts": [row.at for row in latest],
            "run_ids": [row.run_id for row in latest],
            "task_ids": [row.task_id for row in latest],
            "retry_counts": [row.retry_count for row in latest],
        },
        Group,
    )


def settle(settled: Sequence[tuple[UUID, UUID]]) -> Query[None]:
    """`settled` are (failure, its group)."""
    params = {"ids": [one for one, _ in settled], "group_ids": [group for _, group in settled]}
    return Query("error_group.settle", params, no_row)


def tally(tallies: Sequence[Tally]) -> Query[None]:
    return Query(
        "error_group.tally",
        {
            "group_ids": [one.group_id for one in tallies],
            "hours": [one.hour for one in tallies],
            "version_ids": [one.version_id for one in tallies],
            "worker_ids": [one.worker_id for one in tallies],
            "counts": [one.number for one in tallies],
        },
        no_row,
    )


def set_state(
    tenant_id: UUID,
    group_id: UUID,
    state: ErrorState,
    now: datetime,
    *,
    muted_until: datetime | None = None,
) -> Query[UUID]:
    params = {
        "tenant_id": tenant_id,
        "id": group_id,
        "state": int(state),
        "now": now,
        "muted_until": muted_until,
    }
    return Query("error_group.set_state", params, the_value)


def assign(tenant_id: UUID, group_id: UUID, user_id: UUID | None) -> Query[UUID]:
    params = {"tenant_id": tenant_id, "id": group_id, "user_id": user_id}
    return Query("error_group.assign", params, the_value)


def forget_attempts(before: UUID) -> Query[UUID]:
    return Query("error_group.forget_attempts", {"before": before}, the_value)


def forget_tallies(before: datetime) -> Query[int]:
    return Query("error_group.forget_tallies", {"before": before}, the_value)


def forget(before: datetime) -> Query[UUID]:
    return Query("error_group.forget", {"before": before}, the_value)
