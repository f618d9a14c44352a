"""Explains why tasks do not run now, by the scheduler's own rules.

The scheduler's memory lives in another process; here one is filled from the same rows that a new owner
of the tenant would read, and asked. Nothing is changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from engine.domain.explanation import Cause, Explanation, clock, explanation_of, of_waits
from engine.domain.scheduler.machine import TenantScheduler
from engine.operations.parts.versions import load_versions, ready_as_it_stands, step_of, workflow_of
from engine.operations.rebuild_scheduler import (
    load_in_groups,
    load_queue_head,
    read_snapshot,
    restore,
    upsert_worker,
)
from engine.states import Status
from engine.store import leases, step_waits, tasks, workers
from engine.store.query import Operation, fetch
from engine.store.queues import FIRST_PLACE, QueuePlace
from engine.store.tasks import TaskRow
from engine.store.workers import WorkerRow

QUEUE_HEAD = 1000
MOST_KEPT = 20_000
"""How many tasks with groups or rate limits are read: those who wait longest, which go before others."""
_KNOWN_WORKER_AGE = timedelta(minutes=1)
_PAUSED = "Its workflow is paused."


def explain_tasks(
    tenant_id: UUID, ids: Sequence[UUID], now: datetime
) -> Operation[Mapping[UUID, Explanation]]:
    """Return why each of these tasks does not run now; what the tenant does not have is left out."""
    rows = yield from fetch(tasks.by_ids(tenant_id, ids))
    found: dict[UUID, Explanation] = {}
    queued, parked = [], []
    for row in rows:
        if explanation := _by_itself(row):
            found[row.id] = explanation
        elif row.is_delayed:
            parked.append(row)
        else:
            queued.append(row)
    if parked:
        found |= yield from _explain_parked(parked)
    if queued:
        found |= yield from _explain_queued(tenant_id, queued, now)
    return found


def _by_itself(row: TaskRow) -> Explanation | None:
    """Explain what the row alone tells."""
    if row.status == Status.RUNNING:
        worker = {"workerId": str(row.worker_id)} if row.worker_id else {}
        return Explanation(Cause.RUNNING, "It is running.", worker)
    if Status(row.status).is_final:
        status = Status(row.status).name
        return Explanation(Cause.FINISHED, f"It is {status.lower()}.", {"status": status})
    if row.is_held and row.due_at:
        return Explanation(
            Cause.WORKFLOW_PAUSED,
            f"{_PAUSED} It is cancelled at {clock(row.due_at)} if the workflow is not resumed before.",
            {"workflowId": str(row.workflow_id), "until": row.due_at},
        )
    if row.is_delayed and row.due_at:
        return Explanation(
            Cause.RETRY_BACKOFF,
            f"The next attempt is due at {clock(row.due_at)}.",
            {"until": row.due_at, "retryCount": row.retry_count},
        )
    return None


def _explain_parked(rows: Sequence[TaskRow]) -> Operation[Mapping[UUID, Explanation]]:
    """Explain tasks whose steps wait for conditions, or for parents that a replay runs again."""
    waits: dict[UUID, list[tuple[str | None, datetime | None]]] = defaultdict(list)
    for wait in (yield from fetch(step_waits.open_of([row.id for row in rows]))):
        waits[wait.task_id].append((wait.event_key, wait.due_at))
    versions = yield from load_versions(row.version_id for row in rows)
    found = {}
    for row in rows:
        parents = step_of(versions[row.version_id], row.step_id).definition.parents
        found[row.id] = (
            of_waits(waits[row.id])
            if row.id in waits
            else Explanation(
                Cause.WAITING_FOR_PARENTS,
                "It waits for the steps before it.",
                {"parents": list(parents)},
            )
        )
    return found


def _explain_queued(
    tenant_id: UUID, rows: Sequence[TaskRow], now: datetime
) -> Operation[Mapping[UUID, Explanation]]:
    (is_scheduled,) = yield from fetch(leases.is_held(tenant_id))
    if not is_scheduled:
        nobody = Explanation(Cause.NO_ENGINE, "No engine is running that schedules its tenant.")
        return {row.id: nobody for row in rows}
    machine = TenantScheduler(queue_head_limit=QUEUE_HEAD)
    known = yield from fetch(workers.of_tenant(tenant_id, now - _KNOWN_WORKER_AGE))
    snapshot = yield from read_snapshot(tenant_id, known)

    def upsert(row: WorkerRow) -> None:
        beat = row.last_heartbeat_at
        upsert_worker(machine, row, beat.timestamp() if beat else None)

    restore(machine, snapshot, upsert)
    yield from _read_kept(tenant_id, machine, snapshot.rules.paused)
    for action_id in sorted({row.action_id for row in rows}):
        head = yield from load_queue_head(tenant_id, action_id, QUEUE_HEAD)
        machine.enqueue(head)
        machine.mark_refilled(
            action_id, has_more=len(head) == QUEUE_HEAD, last=head[-1] if head else None
        )
    at = now.timestamp()
    next_ids = {task.id for assignment in machine.drain(at) for task in assignment.tasks}
    versions = yield from load_versions(row.version_id for row in rows)
    found = {}
    for row in rows:
        if row.workflow_id in snapshot.rules.paused:
            workflow = {"workflowId": str(row.workflow_id)}
            found[row.id] = Explanation(Cause.WORKFLOW_PAUSED, _PAUSED, workflow)
            continue
        ready = ready_as_it_stands(row, versions[row.version_id])
        reason = None if row.id in next_ids else machine.explain(ready, at)
        found[row.id] = explanation_of(reason, row.action_id)
    return found


def _read_kept(
    tenant_id: UUID, machine: TenantScheduler, paused: frozenset[UUID]
) -> Operation[None]:
    """Let in who waits in concurrency groups or for rate limits; the others come with their queues."""
    place: QueuePlace | None = FIRST_PLACE
    count = 0
    while place is not None and count < MOST_KEPT:
        kept, place = yield from load_in_groups(tenant_id, place, QUEUE_HEAD)
        machine.enqueue([task for task in kept if workflow_of(task.version_id) not in paused])
        count += len(kept)
