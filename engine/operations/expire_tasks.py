"""What time does to tasks: ends back-offs, schedule timeouts, execution timeouts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from engine.domain.endings import NOT_DELIVERED, NOT_IN_TIME, PAUSED_TOO_LONG
from engine.ids import new_id
from engine.operations.cancel_tasks import cancel_attempts
from engine.operations.parts.advance_runs import advance_runs
from engine.operations.parts.fail_attempts import Failure, fail_attempts
from engine.operations.parts.versions import load_versions, ready_as_it_stands, step_of
from engine.operations.report_tasks import lock_dag_runs
from engine.states import LogLevel, Status, TaskEventKind
from engine.store import log_lines, lost_tasks, task_events, tasks
from engine.store.changes import Changes
from engine.store.lost_tasks import LostAttempt, Swallowed
from engine.store.query import Operation, fetch, fetch_all, repeatable
from engine.store.task_events import NewTaskEvent
from engine.store.tasks import Located, TaskRow
from engine.types import LogInput

BATCH = 500


@repeatable
def expire_tasks(
    tenant_ids: Sequence[UUID], now: datetime, only: Sequence[Located] | None = None
) -> Operation[int]:
    """Act on tasks of these tenants whose time has come, or `only` on these of them.

    Return how many were looked at.
    """
    due = (yield from fetch(tasks.due(tenant_ids, now, BATCH))) if only is None else only
    if not due:
        return 0
    locked = yield from lock_dag_runs(due)
    rows = yield from fetch(tasks.lock(sorted(row.id for row in due)))
    rows = [row for row in rows if row.due_at and row.due_at <= now]
    yield from _end_delays([row for row in rows if row.is_delayed and not row.is_held], now)
    waiting = [row for row in rows if row.status == Status.QUEUED and not row.is_delayed]
    moved: set[UUID] = set()
    if waiting:
        cancelled = yield from cancel_attempts(
            [(row.id, row.retry_count) for row in waiting],
            now,
            kind=TaskEventKind.SCHEDULING_TIMED_OUT,
            message=NOT_IN_TIME,
        )
        moved |= cancelled.moved
    if held := [row for row in rows if row.is_held]:
        cancelled = yield from cancel_attempts(
            [(row.id, row.retry_count) for row in held],
            now,
            message=PAUSED_TOO_LONG,
        )
        moved |= cancelled.moved
    moved |= yield from _time_out([row for row in rows if row.status == Status.RUNNING], now)
    yield from advance_runs([locked[run_id] for run_id in sorted(moved)], now)
    return len(due)


def postpone_task(task_id: UUID, cause: str, now: datetime, until: datetime) -> Operation[None]:
    """Leave a due task alone until then: it cannot be acted on. Its log says why."""
    message = f"The engine could not act on this task when its time was up: {cause}"
    for tenant_id in (yield from fetch(tasks.postpone(task_id, now, until))):
        line = LogInput(tenant_id, task_id, message, LogLevel.ERROR)
        yield from fetch(log_lines.insert([new_id()], [line], now))


def _end_delays(rows: Sequence[TaskRow], now: datetime) -> Operation[None]:
    if not rows:
        return
    versions = yield from load_versions(row.version_id for row in rows)
    yield from fetch_all(
        tasks.undelay(
            [
                (
                    row.id,
                    step_of(
                        versions[row.version_id], row.step_id
                    ).definition.schedule_timeout_seconds,
                )
                for row in rows
            ],
            now,
        ),
        task_events.insert(
            [
                NewTaskEvent(row.run_id, row.id, row.retry_count, TaskEventKind.QUEUED)
                for row in rows
            ],
            now,
        ),
    )
    yield Changes(
        ready=[(r.tenant_id, ready_as_it_stands(r, versions[r.version_id])) for r in rows],
        touched={(row.tenant_id, row.run_id) for row in rows},
    )


def _time_out(rows: Sequence[TaskRow], now: datetime) -> Operation[set[UUID]]:
    if not rows:
        return set()
    versions = yield from load_versions(row.version_id for row in rows)
    failures = []
    for row in rows:
        step = step_of(versions[row.version_id], row.step_id).definition
        error = f"Task exceeded timeout of {step.execution_timeout}"
        failures.append(
            Failure(
                row.id,
                f"{error}, as did its whole batch" if step.batch else error,
                TaskEventKind.TIMED_OUT,
                retry_count=row.retry_count,
                stops_worker=True,
            )
        )
    return (yield from fail_attempts(failures, now))


@repeatable
def requeue_lost(
    worker_ids: Sequence[UUID],
    silent_since: datetime,
    now: datetime,
    only: Sequence[LostAttempt] | None = None,
) -> Operation[None]:
    """Give attempts on workers whose last heartbeat is older than `silent_since` a new attempt.

    `only` those named, if any are, which were found to be lost.
    """
    found = (
        (yield from fetch(lost_tasks.on_lost_workers(worker_ids, silent_since, BATCH)))
        if only is None
        else only
    )
    error = (
        f"Worker did not send a heartbeat for {(now - silent_since).total_seconds():.0f} seconds"
    )
    failures = [
        Failure(
            row.id,
            error,
            TaskEventKind.REASSIGNED,
            retry_count=row.retry_count,
            is_internal=True,
            stops_worker=True,
        )
        for row in found
    ]
    yield from _fail_internally(found, failures, now)


@repeatable
def requeue_undelivered(
    attempts: Sequence[UUID], quiet_since: datetime, now: datetime
) -> Operation[None]:
    """Give attempts that never reached their worker a new attempt; acknowledged ones are left alone.

    So are those whose worker came back, or was heard, after `quiet_since`: it may still report.
    """
    found = yield from fetch(lost_tasks.undelivered(attempts, quiet_since))
    error = f"{NOT_DELIVERED}: its stream ended before it acknowledged the task."
    yield from _fail_internally(found, _unless_started(found, error), now)


def requeue_swallowed(found: Sequence[Swallowed], now: datetime) -> Operation[None]:
    """Give attempts a new one that their workers did not acknowledge, unless they have meanwhile."""
    error = f"{NOT_DELIVERED}: it did not acknowledge the task, although it is connected."
    yield from _fail_internally(found, _unless_started(found, error), now)


def _unless_started(found: Sequence[LostAttempt | Swallowed], error: str) -> list[Failure]:
    return [
        Failure(
            row.id,
            error,
            retry_count=row.retry_count,
            is_internal=True,
            stops_worker=True,
            unless_started=True,
        )
        for row in found
    ]


def _fail_internally(
    found: Sequence[LostAttempt | Swallowed], failures: Sequence[Failure], now: datetime
) -> Operation[None]:
    if not found:
        return
    locked = yield from lock_dag_runs([Located(row.id, row.run_id) for row in found])
    moved = yield from fail_attempts(failures, now)
    yield from advance_runs([locked[run_id] for run_id in sorted(moved)], now)
