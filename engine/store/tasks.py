"""Statements of engine/sql/task.sql that create, move and read tasks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.ids import new_id
from engine.states import Status
from engine.store.query import Query, no_row, the_value


class NewTask(NamedTuple):
    """A task about to be inserted; `timeout_seconds` is what its status's clock allows.

    Without one a queued task is parked: it waits for its step's conditions, as if it did not exist yet.
    """

    id: UUID
    tenant_id: UUID
    run_id: UUID
    workflow_id: UUID
    version_id: UUID
    step_id: UUID
    action_id: str
    status: Status
    queue_priority: int
    worker_id: UUID | None
    is_skipped: bool
    timeout_seconds: float | None
    queued_event_id: UUID
    """Of the row of its log that says it was queued, if there is one."""
    desired_worker_id: UUID | None = None
    desired_labels: str | None = None
    concurrency_keys: str | None = None
    failure: str = ""
    """Why the task fails before it is queued."""
    reason: str = ""
    """Why it is skipped or cancelled before it is queued."""

    @property
    def is_parked(self) -> bool:
        return self.status is Status.QUEUED and self.timeout_seconds is None


class TaskRow(NamedTuple):
    """A task as it stands."""

    id: UUID
    tenant_id: UUID
    run_id: UUID
    workflow_id: UUID
    version_id: UUID
    step_id: UUID
    action_id: str
    status: int
    queue_priority: int
    retry_count: int
    app_retry_count: int
    internal_retry_count: int
    worker_id: UUID | None
    is_delayed: bool
    is_skipped: bool
    is_slot_released: bool
    due_at: datetime | None
    started_at: datetime | None
    desired_worker_id: UUID | None
    desired_labels: str | None
    is_held: bool
    concurrency_keys: str | None
    is_evicted: bool
    assigned_at: datetime | None

    @property
    def has_begun(self) -> bool:
        """Whether an attempt was handed out since the task was created, or replayed."""
        return self.app_retry_count + self.internal_retry_count > 0

    @property
    def is_parked(self) -> bool:
        """Waiting for conditions, or for parents a replay runs again: as if it did not exist yet."""
        return self.is_delayed and self.due_at is None


class Requeue(NamedTuple):
    """A new attempt of a task: at `due_in_seconds` (schedule timeout, or back-off if delayed)."""

    id: UUID
    app_retry_count: int
    internal_retry_count: int
    is_delayed: bool
    due_in_seconds: float | None


class Outcome(NamedTuple):
    """A COMPLETED report; without `output` the task returned nothing."""

    id: UUID
    tenant_id: UUID
    retry_count: int | None
    output: bytes | None
    at: datetime | None = None


class Started(NamedTuple):
    id: UUID
    tenant_id: UUID
    retry_count: int | None
    at: datetime | None = None


class Settled(NamedTuple):
    """A task that failed or was cancelled; `was_started` without a report of it, if its worker spoke."""

    id: UUID
    status: Status
    was_started: bool = False
    at: datetime | None = None


class Completed(NamedTuple):
    id: UUID
    retry_count: int
    step_id: UUID
    version_id: UUID
    is_durable_child: bool


class CompletedOfDag(NamedTuple):
    id: UUID
    run_id: UUID
    retry_count: int
    step_id: UUID
    version_id: UUID


class Located(NamedTuple):
    id: UUID
    run_id: UUID


class LocatedOf(NamedTuple):
    id: UUID
    tenant_id: UUID
    run_id: UUID


class RunningRow(NamedTuple):
    id: UUID
    retry_count: int
    action_id: str
    queue_priority: int
    version_id: UUID
    step_id: UUID
    worker_id: UUID
    is_slot_released: bool
    was_started: bool
    concurrency_keys: str | None
    batch_id: UUID | None


class OutcomeRow(NamedTuple):
    run_id: UUID
    readable_id: str
    status: int
    data: bytes | None


def insert(tasks: Sequence[NewTask], now: datetime) -> Query[None]:
    return Query(
        "task.insert",
        {
            "now": now,
            "ids": [t.id for t in tasks],
            "tenant_ids": [t.tenant_id for t in tasks],
            "run_ids": [t.run_id for t in tasks],
            "workflow_ids": [t.workflow_id for t in tasks],
            "version_ids": [t.version_id for t in tasks],
            "step_ids": [t.step_id for t in tasks],
            "action_ids": [t.action_id for t in tasks],
            "statuses": [int(t.status) for t in tasks],
            "queue_priorities": [t.queue_priority for t in tasks],
            "worker_ids": [t.worker_id for t in tasks],
            "skips": [t.is_skipped for t in tasks],
            "timeouts": [t.timeout_seconds for t in tasks],
            "desired_worker_ids": [t.desired_worker_id for t in tasks],
            "desired_labels": [t.desired_labels for t in tasks],
            "concurrency_keys": [t.concurrency_keys for t in tasks],
        },
        no_row,
    )


def revive(tasks: Sequence[NewTask], now: datetime) -> Query[tuple[UUID, int]]:
    return Query(
        "task.revive",
        {
            "now": now,
            "ids": [t.id for t in tasks],
            "statuses": [int(t.status) for t in tasks],
            "skips": [t.is_skipped for t in tasks],
            "timeouts": [t.timeout_seconds for t in tasks],
            "desired_worker_ids": [t.desired_worker_id for t in tasks],
        },
        lambda task_id, retry_count: (task_id, retry_count),
    )


def start(reports: Sequence[Started], now: datetime) -> Query[Located]:
    ats = {"ats": [report.at for report in reports]}
    return Query("task.start", _start_params(reports, now) | ats, Located)


def acknowledge(reports: Sequence[Started], now: datetime) -> Query[Located]:
    return Query("task.acknowledge", _start_params(reports, now), Located)


def _start_params(reports: Sequence[Started], now: datetime) -> dict[str, object]:
    return {
        "now": now,
        "ids": [r.id for r in reports],
        "tenant_ids": [r.tenant_id for r in reports],
        "retry_counts": [r.retry_count for r in reports],
        "event_ids": [new_id() for _ in reports],
    }


def _outcome_params(outcomes: Sequence[Outcome], now: datetime) -> dict[str, object]:
    return {
        "now": now,
        "ids": [o.id for o in outcomes],
        "tenant_ids": [o.tenant_id for o in outcomes],
        "retry_counts": [o.retry_count for o in outcomes],
        "outputs": [o.output for o in outcomes],
        "event_ids": [new_id() for _ in outcomes],
        "ats": [o.at for o in outcomes],
    }


def complete_standalone(outcomes: Sequence[Outcome], now: datetime) -> Query[Completed]:
    return Query("task.complete_standalone", _outcome_params(outcomes, now), Completed)


def complete_of_dag(outcomes: Sequence[Outcome], now: datetime) -> Query[CompletedOfDag]:
    return Query("task.complete_of_dag", _outcome_params(outcomes, now), CompletedOfDag)


def locate(tasks: Sequence[tuple[UUID, UUID]]) -> Query[LocatedOf]:
    """`tasks` are (task id, tenant id)."""
    return Query(
        "task.locate",
        {"ids": [t[0] for t in tasks], "tenant_ids": [t[1] for t in tasks]},
        LocatedOf,
    )


def lock(ids: Sequence[UUID]) -> Query[TaskRow]:
    return Query("task.lock", {"ids": list(ids)}, TaskRow)


def by_ids(tenant_id: UUID, ids: Sequence[UUID]) -> Query[TaskRow]:
    return Query("task.by_ids", {"tenant_id": tenant_id, "ids": list(ids)}, TaskRow)


def of_runs(run_ids: Sequence[UUID]) -> Query[TaskRow]:
    return Query("task.of_runs", {"run_ids": list(run_ids)}, TaskRow)


def requeue(requeues: Sequence[Requeue], now: datetime) -> Query[tuple[UUID, int]]:
    return Query(
        "task.requeue",
        {
            "now": now,
            "ids": [r.id for r in requeues],
            "app_retry_counts": [r.app_retry_count for r in requeues],
            "internal_retry_counts": [r.internal_retry_count for r in requeues],
            "delays": [r.is_delayed for r in requeues],
            "due_in": [r.due_in_seconds for r in requeues],
        },
        lambda task_id, retry_count: (task_id, retry_count),
    )


def settle(outcomes: Sequence[Settled], now: datetime) -> Query[UUID]:
    return Query(
        "task.settle",
        {
            "now": now,
            "ids": [o.id for o in outcomes],
            "statuses": [int(o.status) for o in outcomes],
            "starts": [o.was_started for o in outcomes],
            "ats": [o.at for o in outcomes],
        },
        the_value,
    )


def reset_run(ids: Sequence[UUID]) -> Query[UUID]:
    return Query("task.reset_run", {"ids": list(ids)}, the_value)


def undelay(tasks: Sequence[tuple[UUID, float]], now: datetime) -> Query[UUID]:
    return Query(
        "task.undelay",
        {"now": now, "ids": [t[0] for t in tasks], "timeouts": [t[1] for t in tasks]},
        the_value,
    )


def outputs_of_runs(run_ids: Sequence[UUID], *, is_for_start: bool) -> Query[OutcomeRow]:
    return Query(
        "task.outputs_of_runs", {"run_ids": list(run_ids)}, OutcomeRow, is_for_start=is_for_start
    )


def running(tenant_id: UUID, worker_ids: Sequence[UUID]) -> Query[RunningRow]:
    return Query(
        "task.running", {"tenant_id": tenant_id, "worker_ids": list(worker_ids)}, RunningRow
    )


def grant_time(tenant_id: UUID, worker_ids: Sequence[UUID], until: datetime) -> Query[int]:
    return Query(
        "task.grant_time",
        {"tenant_id": tenant_id, "worker_ids": list(worker_ids), "until": until},
        the_value,
    )


def due(tenant_ids: Sequence[UUID], now: datetime, limit: int) -> Query[Located]:
    return Query("task.due", {"tenant_ids": list(tenant_ids), "now": now, "limit": limit}, Located)


def postpone(task_id: UUID, now: datetime, until: datetime) -> Query[UUID]:
    """Return the tenant of the task if it is due."""
    return Query("task.postpone", {"id": task_id, "now": now, "until": until}, the_value)


def next_due(tenant_ids: Sequence[UUID]) -> Query[datetime]:
    return Query("task.next_due", {"tenant_ids": list(tenant_ids)}, the_value)


def refresh_timeout(
    tenant_id: UUID, task_id: UUID, seconds: float, message: str, now: datetime
) -> Query[datetime]:
    return Query(
        "task.refresh_timeout",
        {
            "tenant_id": tenant_id,
            "id": task_id,
            "seconds": seconds,
            "message": message,
            "event_id": new_id(),
            "now": now,
        },
        the_value,
    )


def release_slot(tenant_id: UUID, task_id: UUID, now: datetime) -> Query[int]:
    return Query(
        "task.release_slot",
        {"tenant_id": tenant_id, "id": task_id, "event_id": new_id(), "now": now},
        the_value,
    )
