"""Cancels runs and tasks: final at once, whatever the worker does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.domain.endings import BY_STRATEGY
from engine.operations.parts.advance_runs import advance_runs
from engine.states import Status, TaskEventKind
from engine.store import leases, run_slots, runs, step_waits, task_events, tasks
from engine.store.changes import AttemptEnd, Changes, FinishedRun
from engine.store.query import Operation, fetch, fetch_all, repeatable
from engine.store.task_events import NewTaskEvent
from engine.store.tasks import Settled, TaskRow


@repeatable
def cancel_tasks(
    tenant_id: UUID, ids: Sequence[UUID], now: datetime, *, message: str = ""
) -> Operation[list[UUID]]:
    """Cancel by the ids clients hold: runs with all their tasks, or single tasks.

    `message` is what the event log says of it. Return those of the ids of which something was cancelled: unknown ones are ignored and final tasks
    left alone. Descendants of a cancelled DAG task that do not exist yet are created cancelled.
    """
    found = yield from fetch(runs.find_external(tenant_id, ids))
    whole_runs = {row.run_id for row in found if row.task_id is None and row.is_dag}
    dag_runs = sorted({row.run_id for row in found if row.is_dag})
    locked = {run.id: run for run in (yield from fetch(runs.lock(dag_runs)))} if dag_runs else {}
    targets = {row.external_id for row in found if not row.is_dag or row.task_id}
    if whole_runs:
        rows = yield from fetch(tasks.of_runs(sorted(whole_runs)))
        targets |= {row.id for row in rows if not Status(row.status).is_final}
    cancelled = {run_id for run_id in whole_runs if not Status(locked[run_id].status).is_final}
    if not targets:
        return []
    task_ids, moved = yield from cancel_attempts(
        [(task, None) for task in targets], now, message=message
    )
    cancelled |= task_ids
    moved |= whole_runs
    yield from advance_runs(
        [locked[run_id] for run_id in sorted(moved) if not Status(locked[run_id].status).is_final],
        now,
    )
    return [row.external_id for row in found if row.external_id in cancelled]


class Cancelled(NamedTuple):
    """The tasks that were cancelled, and the DAG runs that moved by that."""

    task_ids: set[UUID]
    moved: set[UUID]


def cancel_attempts(
    attempts: Sequence[tuple[UUID, int | None]],
    now: datetime,
    *,
    kind: TaskEventKind = TaskEventKind.CANCELLED,
    message: str = "",
    ends_runs: bool = True,
) -> Operation[Cancelled]:
    """Cancel these tasks unless they are final or in another attempt.

    `kind` and `message` are what the event log says. DAG runs of these tasks are locked already; the
    tasks are locked here, and running ones are told to stop. Without `ends_runs` nobody is told that the
    runs of standalone tasks ended, for they go on.
    """
    wanted = set(attempts)
    rows = [
        row
        for row in (yield from fetch(tasks.lock(sorted({task_id for task_id, _ in attempts}))))
        if not Status(row.status).is_final
        and ((row.id, None) in wanted or (row.id, row.retry_count) in wanted)
    ]
    if not rows:
        return Cancelled(set(), set())
    parked = [row.id for row in rows if row.is_parked]
    events = [
        NewTaskEvent(row.run_id, row.id, row.retry_count, kind, message, row.worker_id)
        for row in rows
    ]
    children, *_ = yield from fetch_all(
        tasks.settle([Settled(row.id, Status.CANCELLED) for row in rows], now),
        task_events.insert(events, now),
        *([step_waits.settle(parked)] if parked else []),
    )
    yield Changes(
        ended=[_end_of(row, kind) for row in rows],
        finished=_finished(rows, set(children)) if ends_runs else [],
        touched={(row.tenant_id, row.run_id) for row in rows},
    )
    return Cancelled({row.id for row in rows}, {r.run_id for r in rows if r.run_id != r.id})


def _end_of(row: TaskRow, kind: TaskEventKind) -> AttemptEnd:
    return AttemptEnd(
        row.tenant_id,
        row.run_id,
        row.id,
        row.step_id,
        row.version_id,
        row.retry_count,
        Status.CANCELLED,
        stop_on=row.worker_id,
        is_timed_out=kind is TaskEventKind.SCHEDULING_TIMED_OUT,
    )


def _finished(rows: Sequence[TaskRow], children: Collection[UUID]) -> list[FinishedRun]:
    return [
        FinishedRun(row.tenant_id, row.run_id, Status.CANCELLED, row.run_id in children)
        for row in rows
        if row.run_id == row.id
    ]


@repeatable
def cancel_superseded(
    attempts: Mapping[UUID, Sequence[tuple[UUID, int]]],
    epochs: Mapping[UUID, int],
    now: datetime,
    superseded_runs: Sequence[tuple[UUID, UUID]] = (),
) -> Operation[None]:
    """Cancel attempts, by tenant, that a scheduler found no place for in their concurrency groups.

    `superseded_runs` are (run id, arrival) of runs to be cancelled whole, unless they ended since.

    Raises LeaseLost when a lease has passed to another engine: nothing is written then.
    """
    yield from fetch(leases.hold(epochs))
    found = yield from fetch(
        tasks.locate(
            [(task_id, tenant_id) for tenant_id in attempts for task_id, _ in attempts[tenant_id]]
        )
    )
    dag_runs = {row.run_id for row in found if row.run_id != row.id}
    dag_runs |= {run_id for run_id, _ in superseded_runs}
    lock = runs.lock(sorted(dag_runs))
    locked = {run.id: run for run in (yield from fetch(lock))} if dag_runs else {}
    superseded: list[tuple[UUID, int | None]] = [
        attempt for listed in attempts.values() for attempt in listed
    ]
    if superseded_runs:
        superseded += yield from _attempts_of(superseded_runs)
    _, moved = yield from cancel_attempts(superseded, now, message=BY_STRATEGY)
    yield from advance_runs([locked[run_id] for run_id in sorted(moved)], now)


def _attempts_of(
    superseded_runs: Sequence[tuple[UUID, UUID]],
) -> Operation[list[tuple[UUID, int | None]]]:
    """Return what is unfinished of those of these locked runs which did not end since that arrival."""
    found = yield from fetch(run_slots.arrivals([run_id for run_id, _ in superseded_runs]))
    current = [row.run_id for row in found if (row.run_id, row.arrival) in set(superseded_runs)]
    rows = (yield from fetch(tasks.of_runs(current))) if current else []
    return [(row.id, None) for row in rows if not Status(row.status).is_final]
