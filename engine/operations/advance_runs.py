"""Moves DAG runs on after some of their tasks were settled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from engine.domain import plan_run
from engine.domain.definition import RegisteredStep, RegisteredVersion
from engine.domain.plan_run import TaskState
from engine.operations.changes import Changes, FinishedRun
from engine.operations.start_steps import events_of, new_task, outputs_of
from engine.operations.versions import load_versions, ready_task
from engine.states import RETRY_QUEUE_PRIORITY, Status
from engine.store import payloads, runs, task_events, tasks
from engine.store.query import Operation, Query, fetch, fetch_all
from engine.store.runs import LockedRun
from engine.store.tasks import NewTask, TaskRow


def advance_runs(locked: Sequence[LockedRun], now: datetime, changes: Changes) -> Operation[None]:
    """Create what became ready or was decided, and set the runs' statuses. The runs are locked."""
    if not locked:
        return
    rows = yield from fetch(tasks.of_runs([run.id for run in locked]))
    versions = yield from load_versions(run.version_id for run in locked)
    tasks_of: dict[UUID, list[TaskRow]] = defaultdict(list)
    for row in rows:
        tasks_of[row.run_id].append(row)
    created: list[NewTask] = []
    revived: list[NewTask] = []
    statuses: list[tuple[UUID, Status]] = []
    for run in locked:
        version = versions[run.version_id]
        parked = {row.step_id: row for row in tasks_of[run.id] if row.is_parked}
        plan = plan_run.advance(version, states_of(tasks_of[run.id]))
        for new in plan.create:
            row_before = parked.get(new.step.id)
            task = new_task(
                run.id,
                version,
                new.step,
                priority=run.priority,
                task_id=row_before.id if row_before else None,
                status=new.status,
                is_skipped=new.is_skipped,
                desired_worker_id=_worker_of_parent(version, new.step, tasks_of[run.id]),
                desired_labels=run.desired_labels,
            )
            (revived if row_before else created).append(task)
        status = plan.run_status
        if status is Status.QUEUED and run.was_started:
            status = Status.RUNNING
        if status != run.status:
            statuses.append((run.id, status))
            if plan.is_finished:
                changes.finished.append(FinishedRun(run.tenant_id, run.id, status))
        changes.touched.add((run.tenant_id, run.id))
    yield from _write(created, revived, statuses, now=now)
    changes.created += [(task.run_id, task.id) for task in created]
    retry_counts = {row.id: row.retry_count for row in rows}
    _collect_ready([*created, *revived], versions, retry_counts, changes)


def _worker_of_parent(
    version: RegisteredVersion, step: RegisteredStep, rows: Sequence[TaskRow]
) -> UUID | None:
    """Return where a step of a sticky workflow wants to run: where the first parent that ran did."""
    if version.definition.sticky is None:
        return None
    worker_of = {row.step_id: row.worker_id for row in rows}
    names = {other.definition.readable_id: other.id for other in version.steps}
    parents = (worker_of.get(names[parent]) for parent in step.definition.parents)
    return next((worker_id for worker_id in parents if worker_id), None)


def states_of(rows: Sequence[TaskRow]) -> list[TaskState]:
    """Return what planning needs of a run's tasks; parked ones do not exist yet."""
    return [
        TaskState(row.step_id, row.id, Status(row.status), row.is_skipped, row.retry_count)
        for row in rows
        if not row.is_parked
    ]


def _write(
    created: list[NewTask],
    revived: list[NewTask],
    statuses: list[tuple[UUID, Status]],
    *,
    now: datetime,
) -> Operation[None]:
    retry_counts: dict[UUID, int] = {}
    if revived:
        retry_counts = dict((yield from fetch(tasks.revive(revived, now))))
    events = [
        event._replace(retry_count=retry_counts.get(event.task_id, 0))
        for event in events_of([*created, *revived])
    ]
    queries: list[Query[Any]] = []
    if created:
        queries.append(tasks.insert(created, now))
    if events:
        queries.append(task_events.insert(events, now))
    if outputs := outputs_of([*created, *revived]):
        queries.append(payloads.insert(outputs))
    if statuses:
        queries.append(runs.set_status(statuses, now))
    if queries:
        yield from fetch_all(*queries)


def _collect_ready(
    new: list[NewTask],
    versions: Mapping[UUID, RegisteredVersion],
    retry_counts: dict[UUID, int],
    changes: Changes,
) -> None:
    for task in new:
        if task.status is not Status.QUEUED:
            continue
        version = versions[task.version_id]
        retry_count = retry_counts.get(task.id, 0)
        priority = task.queue_priority if retry_count == 0 else RETRY_QUEUE_PRIORITY
        ready = ready_task(
            version,
            task.id,
            task.step_id,
            retry_count=retry_count,
            priority=priority,
            desired_worker_id=task.desired_worker_id,
            desired_labels=task.desired_labels,
        )
        changes.ready.append((task.tenant_id, ready))
        changes.wakes_clock = True
