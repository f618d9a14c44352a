"""Fails new tasks that got no keys for their concurrency groups."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from engine.operations.parts.advance_runs import advance_runs
from engine.operations.parts.start_steps import events_of, outputs_of
from engine.states import Status
from engine.store import payloads, runs, task_events, tasks
from engine.store.changes import Changes, FinishedRun
from engine.store.query import Operation, Query, fetch
from engine.store.tasks import NewTask, Settled


def fail_keyless(failed: Sequence[NewTask], now: datetime) -> list[Query[Any]]:
    """Record why tasks fail before they are queued; standalone ones end their runs."""
    queries: list[Query[Any]] = [payloads.insert(outputs_of(failed))]
    if standalone := [task for task in failed if task.id == task.run_id]:
        queries += [
            tasks.settle([Settled(task.id, Status.FAILED) for task in standalone], now),
            task_events.insert(events_of(standalone), now),
        ]
    return queries


def end_keyless(failed: Sequence[NewTask], now: datetime) -> Operation[None]:
    """Say which runs that ended, and decide what follows in the others. The tasks are inserted."""
    yield Changes(
        finished=[
            FinishedRun(task.tenant_id, task.run_id, Status.FAILED, wakes_parent=True)
            for task in failed
            if task.id == task.run_id
        ]
    )
    if dag_runs := sorted({task.run_id for task in failed if task.id != task.run_id}):
        locked = yield from fetch(runs.lock(dag_runs))
        yield from advance_runs(locked, now)
