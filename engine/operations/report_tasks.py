"""Records what workers report about their attempts: started, completed, failed, cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from engine.operations.advance_runs import advance_runs
from engine.operations.cancel_tasks import cancel_attempts
from engine.operations.changes import AttemptEnd, Changes, FinishedRun
from engine.operations.fail_attempts import Failure, fail_attempts
from engine.states import Status
from engine.store import runs, tasks
from engine.store.query import Operation, fetch, fetch_all
from engine.store.runs import LockedRun
from engine.store.tasks import Completed, CompletedOfDag, Located, Outcome
from engine.types import ReportKind, TaskReport


@dataclass(slots=True)
class Reported:
    """`unknown` are tasks their tenant does not have; every other report was taken or is stale."""

    changes: Changes = field(default_factory=Changes)
    unknown: set[UUID] = field(default_factory=set)
    started: list[UUID] = field(default_factory=list)


def report_tasks(reports: Sequence[TaskReport], now: datetime) -> Operation[Reported]:
    """Apply a batch of reports. One attempt's STARTED comes before its outcome, whatever the order."""
    done = Reported()
    by_kind: dict[ReportKind, dict[UUID, TaskReport]] = {kind: {} for kind in ReportKind}
    for report in reports:
        by_kind[report.kind].setdefault(report.task_id, report)
    outcomes = _outcomes(by_kind[ReportKind.COMPLETED])
    unmatched = yield from _start_and_complete(by_kind[ReportKind.STARTED], outcomes, now, done)
    others = {**by_kind[ReportKind.FAILED], **by_kind[ReportKind.CANCELLED]}
    wanted = unmatched | {task_id: report.tenant_id for task_id, report in others.items()}
    if not wanted:
        return done
    found = yield from fetch(tasks.locate(sorted(wanted.items())))
    run_of = {located.id: located.run_id for located in found}
    done.unknown |= wanted.keys() - run_of.keys()
    locked = yield from lock_dag_runs(found)
    moved = yield from _complete_of_dag(
        [outcome for outcome in outcomes if run_of.get(outcome.id, outcome.id) != outcome.id],
        locked,
        now=now,
        done=done,
    )
    failed = [report for report in by_kind[ReportKind.FAILED].values() if report.task_id in run_of]
    if failed:
        moved |= yield from fail_attempts([_failure(r) for r in failed], now, done.changes)
    cancelled = [r for r in by_kind[ReportKind.CANCELLED].values() if r.task_id in run_of]
    if cancelled:
        attempts = [(r.task_id, r.retry_count) for r in cancelled]
        moved |= yield from cancel_attempts(attempts, now, done.changes)
    yield from advance_runs([locked[run_id] for run_id in sorted(moved)], now, done.changes)
    return done


def lock_dag_runs(found: Sequence[Located]) -> Operation[dict[UUID, LockedRun]]:
    """Lock the DAG runs of these tasks, in id order and before any of their tasks."""
    run_ids = sorted({located.run_id for located in found if located.run_id != located.id})
    if not run_ids:
        return {}
    return {run.id: run for run in (yield from fetch(runs.lock(run_ids)))}


def _outcomes(completed: dict[UUID, TaskReport]) -> list[Outcome]:
    return [
        Outcome(report.task_id, report.tenant_id, report.retry_count, report.payload or None)
        for _, report in sorted(completed.items())
    ]


def _failure(report: TaskReport) -> Failure:
    return Failure(
        report.task_id,
        report.payload.decode(errors="replace"),
        retry_count=report.retry_count,
        should_not_retry=report.should_not_retry,
        retry_after_ms=report.retry_after_ms,
    )


def _start_and_complete(
    started: dict[UUID, TaskReport], outcomes: Sequence[Outcome], now: datetime, done: Reported
) -> Operation[dict[UUID, UUID]]:
    """Return the tasks, with tenants, that matched nothing: of a DAG, stale or unknown."""
    starts = [
        (report.task_id, report.tenant_id, report.retry_count)
        for _, report in sorted(started.items())
    ]
    queries = [tasks.start(starts, now)] if starts else []
    if outcomes:
        results = yield from fetch_all(*queries, tasks.complete_standalone(outcomes, now))
        completed = {row.id: row for row in results[-1]}
    else:
        results = (yield from fetch_all(*queries)) if queries else []
        completed = {}
    if starts:
        done.started = results[0]
        tenant_of = {start[0]: start[1] for start in starts}
        done.changes.touched |= {(tenant_of[task_id], task_id) for task_id in done.started}
    for outcome in outcomes:
        row = completed.get(outcome.id)
        if row:
            _collect_completed(outcome, outcome.id, row, done.changes)
            finished = FinishedRun(outcome.tenant_id, outcome.id, Status.COMPLETED)
            done.changes.finished.append(finished)
    acknowledged = set(done.started)
    unmatched = {s[0]: s[1] for s in starts if s[0] not in acknowledged and s[0] not in completed}
    return unmatched | {o.id: o.tenant_id for o in outcomes if o.id not in completed}


def _collect_completed(
    outcome: Outcome, run_id: UUID, row: Completed | CompletedOfDag, changes: Changes
) -> None:
    changes.ended.append(
        AttemptEnd(
            outcome.tenant_id,
            run_id,
            outcome.id,
            row.step_id,
            row.version_id,
            row.retry_count,
            Status.COMPLETED,
            outcome.output or b"",
        )
    )
    changes.touched.add((outcome.tenant_id, run_id))


def _complete_of_dag(
    outcomes: Sequence[Outcome],
    locked: dict[UUID, LockedRun],
    *,
    now: datetime,
    done: Reported,
) -> Operation[set[UUID]]:
    if not outcomes:
        return set()
    by_id = {outcome.id: outcome for outcome in outcomes}
    completed = yield from fetch(tasks.complete_of_dag(outcomes, now))
    for row in completed:
        _collect_completed(by_id[row.id], row.run_id, row, done.changes)
    return {row.run_id for row in completed if row.run_id in locked}
