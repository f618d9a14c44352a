"""Ends waits of steps: events that came, sleeps that are over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from engine.domain import conditions
from engine.operations.expire_tasks import BATCH
from engine.operations.parts.advance_runs import advance_runs
from engine.operations.parts.pass_filters import AT_ONCE
from engine.operations.parts.versions import load_versions, step_of
from engine.store import runs, step_waits, tasks
from engine.store.query import Operation, breathe, fetch, repeatable
from engine.store.runs import LockedRun
from engine.store.step_waits import Satisfied, WaitRow
from engine.store.tasks import TaskRow
from engine.types import EventRecord


def offer_events(
    waits: Sequence[WaitRow], events: Sequence[EventRecord], now: datetime
) -> Operation[None]:
    """Let the first event that fits end each of these waits. Read `waits` before starting new runs."""
    events_of: dict[str, list[EventRecord]] = defaultdict(list)
    for event in events:
        events_of[event.key].append(event)
    versions = yield from load_versions(wait.version_id for wait in waits)
    ended: list[tuple[WaitRow, UUID | None]] = []
    for number, wait in enumerate(waits):
        if number % AT_ONCE == AT_ONCE - 1:
            yield from breathe()
        step = step_of(versions[wait.version_id], wait.step_id).definition
        condition = step.conditions[wait.ordinal]
        for event in events_of[wait.event_key or ""]:
            if conditions.event_holds(condition, event.payload):
                ended.append((wait, event.event_id))
                break
    if ended:
        yield from _satisfy(ended, now)


@repeatable
def expire_sleeps(
    tenant_ids: Sequence[UUID], now: datetime, only: Sequence[WaitRow] | None = None
) -> Operation[int]:
    """End the sleeps of these tenants that are over, or `only` these; return how many there were."""
    due = (yield from fetch(step_waits.due(tenant_ids, now, BATCH))) if only is None else only
    if due:
        yield from _satisfy([(wait, None) for wait in due], now)
    return len(due)


def _satisfy(ended: Sequence[tuple[WaitRow, UUID | None]], now: datetime) -> Operation[None]:
    of_dags = sorted({wait.run_id for wait, _ in ended if wait.run_id != wait.task_id})
    standalone = sorted({wait.task_id for wait, _ in ended if wait.run_id == wait.task_id})
    locked = (yield from fetch(runs.lock(of_dags))) if of_dags else []
    rows = (yield from fetch(tasks.lock(standalone))) if standalone else []
    satisfied = [Satisfied(wait.task_id, wait.ordinal, event_id) for wait, event_id in ended]
    moved = set((yield from fetch(step_waits.satisfy(satisfied, now))))
    yield from advance_runs([run for run in locked if run.id in moved], now)
    parked = [row for row in rows if row.is_parked and row.id in moved]
    yield from advance_runs([_run_of(row) for row in parked], now, rows=parked)


def _run_of(row: TaskRow) -> LockedRun:
    """Return the run of a parked standalone task; the lock on the task is a lock on both."""
    return LockedRun(
        row.run_id,
        row.tenant_id,
        row.version_id,
        row.workflow_id,
        row.status,
        row.queue_priority,
        False,
        row.desired_labels,
    )
