"""Records what workers report about their attempts: started, completed, failed, cancelled."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from engine.domain.endings import BY_WORKER
from engine.operations.cancel_tasks import cancel_attempts
from engine.operations.parts.advance_runs import advance_runs
from engine.operations.parts.fail_attempts import Failure, fail_attempts
from engine.operations.parts.start_batches import resolve_members
from engine.states import Status
from engine.store import runs, task_events, tasks, workers
from engine.store.changes import AttemptEnd, Changes, FinishedRun
from engine.store.query import Operation, Query, fetch, fetch_all, repeatable
from engine.store.runs import LockedRun
from engine.store.task_events import SentNote
from engine.store.tasks import Completed, CompletedOfDag, Located, Outcome, Started
from engine.types import ReportKind, TaskReport

TaskOf = tuple[UUID, UUID]
"""(task, tenant): a report counts only for a task of its own tenant."""


@repeatable
def report_tasks(
    reports: Sequence[TaskReport], now: datetime, sent: Sequence[SentNote] = ()
) -> Operation[set[TaskOf]]:
    """Apply a batch of reports. One attempt's STARTED comes before its outcome, whatever the order.

    Return the tasks their tenants do not have; every other report was taken or is stale. `sent` are log
    rows that are written along.
    """
    along: list[Query[Any]] = [task_events.insert_sent(sent)] if sent else []
    if any(report.batch_id for report in reports):
        reports = yield from resolve_members(reports)
    by_kind: list[list[TaskReport]] = [[] for _ in range(max(ReportKind) + 1)]
    for report in sorted(reports, key=lambda report: report.task_id):
        by_kind[report.kind].append(report)
    outcomes = [
        Outcome(
            report.task_id, report.tenant_id, report.retry_count, report.payload or None, report.at
        )
        for report in by_kind[ReportKind.COMPLETED]
    ]
    started = by_kind[ReportKind.STARTED]
    unmatched = yield from _start_and_complete(started, outcomes, now, along)
    unmatched |= yield from _acknowledge(by_kind[ReportKind.ACKNOWLEDGED], now)
    failed, cancelled = by_kind[ReportKind.FAILED], by_kind[ReportKind.CANCELLED]
    wanted = unmatched | {(report.task_id, report.tenant_id) for report in (*failed, *cancelled)}
    if not wanted:
        return set()
    # A cancellation that has locked a run waits for its tasks, which were locked here just before.
    late = [_start(r) for r in started if (r.task_id, r.tenant_id) in unmatched]
    _, found, *_ = yield from fetch_all(
        runs.give_way(),
        tasks.locate(sorted(wanted)),
        *([workers.recover_late(late, now)] if late else []),
    )
    known = {(row.id, row.tenant_id): row.run_id for row in found}
    locked = yield from lock_dag_runs([Located(row.id, row.run_id) for row in found])
    of_dags = [o for o in outcomes if known.get((o.id, o.tenant_id), o.id) != o.id]
    moved = yield from _complete_of_dag(of_dags, locked, now)
    failures = [_failure(r) for r in failed if (r.task_id, r.tenant_id) in known]
    if failures:
        moved |= yield from fail_attempts(failures, now)
    attempts = [(r.task_id, r.retry_count) for r in cancelled if (r.task_id, r.tenant_id) in known]
    if attempts:
        moved |= (yield from cancel_attempts(attempts, now, message=BY_WORKER)).moved
    yield from advance_runs([locked[run_id] for run_id in sorted(moved)], now)
    return wanted - known.keys()


def _start(report: TaskReport) -> Started:
    return Started(report.task_id, report.tenant_id, report.retry_count, report.at)


def _acknowledge(reports: Sequence[TaskReport], now: datetime) -> Operation[set[TaskOf]]:
    """Return the tasks that matched nothing."""
    if not reports:
        return set()
    rows = yield from fetch(tasks.acknowledge([_start(report) for report in reports], now))
    reached = {row.id for row in rows}
    yield Changes(acknowledged=[(r.tenant_id, r.task_id) for r in reports if r.task_id in reached])
    return {(r.task_id, r.tenant_id) for r in reports if r.task_id not in reached}


def lock_dag_runs(found: Sequence[Located]) -> Operation[dict[UUID, LockedRun]]:
    """Lock the DAG runs of these tasks, in id order and before any of their tasks."""
    run_ids = sorted({located.run_id for located in found if located.run_id != located.id})
    if not run_ids:
        return {}
    return {run.id: run for run in (yield from fetch(runs.lock(run_ids)))}


def _failure(report: TaskReport) -> Failure:
    return Failure(
        report.task_id,
        report.payload.decode(errors="replace"),
        retry_count=report.retry_count,
        should_not_retry=report.should_not_retry,
        retry_after_ms=report.retry_after_ms,
        at=report.at,
        was_started=True,
    )


def _start_and_complete(
    started: Sequence[TaskReport],
    outcomes: Sequence[Outcome],
    now: datetime,
    along: Sequence[Query[Any]],
) -> Operation[set[TaskOf]]:
    """Return the tasks that matched nothing: they are of a DAG, stale or unknown."""
    starts = [_start(report) for report in started]
    queries: list[Query[Any]] = [tasks.start(starts, now)] if starts else []
    queries += along
    if outcomes:
        queries.append(tasks.complete_standalone(outcomes, now))
    results = (yield from fetch_all(*queries)) if queries else []
    begun_rows: Sequence[Located] = results[0] if starts else []
    completed = {row.id: row for row in results[-1]} if outcomes else {}
    tenant_of = {start.id: start.tenant_id for start in starts}
    by_tenant = [(tenant_of[row.id], row.id) for row in begun_rows]
    changes = Changes(
        acknowledged=by_tenant,
        started=list(by_tenant),
        touched={(tenant_of[row.id], row.run_id) for row in begun_rows},
    )
    finished_ids: set[UUID] = set()
    for outcome in outcomes:
        row = completed.get(outcome.id)
        if row and outcome.retry_count in (None, row.retry_count):
            del completed[outcome.id]
            tenant_id, run_id = outcome.tenant_id, outcome.id
            finished_ids.add(run_id)
            changes.ended.append(_end_of(outcome, run_id, row))
            changes.touched.add((tenant_id, run_id))
            changes.finished.append(
                FinishedRun(tenant_id, run_id, Status.COMPLETED, row.is_durable_child)
            )
    yield changes
    begun = {row.id for row in begun_rows} | finished_ids
    unmatched = {(start.id, start.tenant_id) for start in starts if start.id not in begun}
    return unmatched | {(o.id, o.tenant_id) for o in outcomes if o.id not in finished_ids}


def _end_of(outcome: Outcome, run_id: UUID, row: Completed | CompletedOfDag) -> AttemptEnd:
    return AttemptEnd(
        outcome.tenant_id,
        run_id,
        outcome.id,
        row.step_id,
        row.version_id,
        row.retry_count,
        Status.COMPLETED,
        outcome.output or b"",
    )


def _complete_of_dag(
    outcomes: Sequence[Outcome], locked: Collection[UUID], now: datetime
) -> Operation[set[UUID]]:
    """Return the runs that moved."""
    if not outcomes:
        return set()
    by_id = {outcome.id: outcome for outcome in outcomes}
    completed = yield from fetch(tasks.complete_of_dag(outcomes, now))
    yield Changes(
        ended=[_end_of(by_id[row.id], row.run_id, row) for row in completed],
        touched={(by_id[row.id].tenant_id, row.run_id) for row in completed},
    )
    return {row.run_id for row in completed if row.run_id in locked}
