"""Cancels runs and tasks: final at once, whatever the worker does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from engine.operations.changes import AttemptEnd, Changes, FinishedRun
from engine.operations.parts.advance_runs import advance_runs
from engine.states import Status, TaskEventKind
from engine.store import leases, run_slots, runs, step_waits, task_events, tasks
from engine.store.query import Operation, fetch, fetch_all, repeatable
from engine.store.task_events import NewTaskEvent
from engine.store.tasks import Settled


@repeatable
def cancel_tasks(
    tenant_id: UUID, ids: Sequence[UUID], now: datetime
) -> Operation[tuple[list[UUID], Changes]]:
    """Cancel by the ids clients hold: runs with all their tasks, or single tasks.

    Return those of the ids of which something was cancelled: unknown ones are ignored and final tasks
    left alone. Descendants of a cancelled DAG task that do not
    exist yet are created cancelled.
    """
    changes = Changes()
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
        return [], changes
    moved = yield from cancel_attempts([(task, None) for task in targets], now, changes)
    cancelled |= {end.task_id for end in changes.ended}
    moved |= whole_runs
    yield from advance_runs(
        [locked[run_id] for run_id in sorted(moved) if not Status(locked[run_id].status).is_final],
        now,
        changes,
    )
    return [row.external_id for row in found if row.external_id in cancelled], changes


def cancel_attempts(
    attempts: Sequence[tuple[UUID, int | None]],
    now: datetime,
    changes: Changes,
    *,
    kind: TaskEventKind = TaskEventKind.CANCELLED,
    message: str = "",
) -> Operation[set[UUID]]:
    """Cancel these tasks unless they are final or in another attempt; return the DAG runs that moved.

    `kind` and `message` are what the event log says. DAG runs of these tasks are locked already; the
    tasks are locked here, and running ones are told to stop.
    """
    wanted = set(attempts)
    rows = [
        row
        for row in (yield from fetch(tasks.lock(sorted({task_id for task_id, _ in attempts}))))
        if not Status(row.status).is_final
        and ((row.id, None) in wanted or (row.id, row.retry_count) in wanted)
    ]
    if not rows:
        return set()
    parked = [row.id for row in rows if row.is_parked]
    settled, *_ = yield from fetch_all(
        tasks.settle([Settled(row.id, Status.CANCELLED) for row in rows], now),
        task_events.insert(
            [
                NewTaskEvent(row.run_id, row.id, row.retry_count, kind, message, row.worker_id)
                for row in rows
            ],
            now,
        ),
        *([step_waits.settle(parked)] if parked else []),
    )
    children = set(settled)
    for row in rows:
        changes.ended.append(
            AttemptEnd(
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
        )
        changes.touched.add((row.tenant_id, row.run_id))
        if row.run_id == row.id:
            is_child = row.run_id in children
            changes.finished.append(
                FinishedRun(row.tenant_id, row.run_id, Status.CANCELLED, is_child)
            )
    return {row.run_id for row in rows if row.run_id != row.id}


@repeatable
def cancel_superseded(
    attempts: Mapping[UUID, Sequence[tuple[UUID, int]]],
    epochs: Mapping[UUID, int],
    now: datetime,
    superseded_runs: Sequence[tuple[UUID, UUID]] = (),
) -> Operation[Changes]:
    """Cancel attempts, by tenant, that a scheduler found no place for in their concurrency groups.

    `superseded_runs` are (run id, arrival) of runs to be cancelled whole, unless they ended since.

    Raises the database's HT001 when a lease has passed to another engine: nothing is written then.
    """
    changes = Changes()
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
    moved = yield from cancel_attempts(
        superseded, now, changes, message="Cancelled due to concurrency strategy"
    )
    yield from advance_runs([locked[run_id] for run_id in sorted(moved)], now, changes)
    return changes


def _attempts_of(
    superseded_runs: Sequence[tuple[UUID, UUID]],
) -> Operation[list[tuple[UUID, int | None]]]:
    """Return what is unfinished of those of these locked runs which did not end since that arrival."""
    found = yield from fetch(run_slots.arrivals([run_id for run_id, _ in superseded_runs]))
    current = [row.run_id for row in found if (row.run_id, row.arrival) in set(superseded_runs)]
    rows = (yield from fetch(tasks.of_runs(current))) if current else []
    return [(row.id, None) for row in rows if not Status(row.status).is_final]
