"""Explains why tasks do not run now, by the scheduler's own rules.

A copy of the tenant's scheduler is asked that is a few seconds old at most. Nothing is changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from engine.domain.assignment import ReadyTask, Reason
from engine.domain.endings import END_WORDS, ENDING_LENGTH, ending_of
from engine.domain.explanation import Cause, Explanation, clock, explanation_of, of_waits
from engine.operations.copy_schedulers import SchedulerCopies, SchedulerCopy, current_copy
from engine.operations.parts.versions import load_versions, ready_as_it_stands, step_of
from engine.states import Status, TaskEventKind
from engine.store import leases, step_waits, task_events, tasks, workers
from engine.store.query import Operation, fetch
from engine.store.tasks import TaskRow

_PAUSED = "Its workflow is paused."


def explain_tasks(
    tenant_id: UUID, ids: Sequence[UUID], now: datetime, copies: SchedulerCopies
) -> Operation[Mapping[UUID, Explanation]]:
    """Return why each of these tasks does not run now; what the tenant does not have is left out.

    `copies` of schedulers are shared by the process: its requests wait for each other where they have to
    read the rows of one tenant.
    """
    rows = yield from fetch(tasks.by_ids(tenant_id, ids))
    found: dict[UUID, Explanation] = {}
    queued, parked = [], []
    endings = yield from _endings([row for row in rows if Status(row.status).is_final])
    for row in rows:
        if explanation := endings.get(row.id) or _by_itself(row):
            found[row.id] = explanation
        elif row.is_delayed:
            parked.append(row)
        else:
            queued.append(row)
    if parked:
        found |= yield from _explain_parked(parked)
    if queued:
        found |= yield from _explain_queued(tenant_id, queued, now, copies)
    return found


def _endings(rows: Sequence[TaskRow]) -> Operation[Mapping[UUID, Explanation]]:
    """Say of tasks that ended what ended them, by the event log."""
    if not rows:
        return {}
    kinds, run_ids = [int(kind) for kind in END_WORDS], sorted({row.run_id for row in rows})
    ends = yield from fetch(
        task_events.ends(run_ids, [row.id for row in rows], kinds, ENDING_LENGTH)
    )
    said = {end.task_id: ending_of(TaskEventKind(end.kind), end.message) for end in ends}
    found = {}
    for row in rows:
        status = Status(row.status).name
        details = {"status": status}
        message = f"It is {status.lower()}."
        if ending := said.get(row.id):
            message, details["ending"] = ending.sentence, ending.words
        found[row.id] = Explanation(Cause.FINISHED, message, details)
    return found


def _by_itself(row: TaskRow) -> Explanation | None:
    """Explain what the row alone tells of a task that goes on."""
    if row.status == Status.RUNNING:
        worker = {"workerId": str(row.worker_id)} if row.worker_id else {}
        return Explanation(Cause.RUNNING, "It is running.", worker)
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
    tenant_id: UUID, rows: Sequence[TaskRow], now: datetime, copies: SchedulerCopies
) -> Operation[Mapping[UUID, Explanation]]:
    (is_scheduled,) = yield from fetch(leases.is_held(tenant_id))
    if not is_scheduled:
        nobody = Explanation(Cause.NO_ENGINE, "No engine is running that schedules its tenant.")
        return {row.id: nobody for row in rows}
    versions = yield from load_versions(row.version_id for row in rows)
    ready = {row.id: ready_as_it_stands(row, versions[row.version_id]) for row in rows}
    place = copies.place(tenant_id)
    with place.lock:
        copy = yield from current_copy(tenant_id, ready.values(), now, place)
        reasons = {row.id: _reason(copy, row, ready[row.id]) for row in rows}
        worker_ids = {
            r.worker_id for r in reasons.values() if isinstance(r, Reason) and r.worker_id
        }
        if unnamed := worker_ids - copy.worker_names.keys():
            found = yield from fetch(workers.names(tenant_id, sorted(unnamed)))
            copy.worker_names.update(dict(found))
    copies.trim(now)
    return {row.id: _in_words(reasons[row.id], row, copy.worker_names) for row in rows}


def _reason(copy: SchedulerCopy, row: TaskRow, ready: ReadyTask) -> Reason | Explanation | None:
    if row.workflow_id in copy.paused:
        return Explanation(Cause.WORKFLOW_PAUSED, _PAUSED, {"workflowId": str(row.workflow_id)})
    return copy.reason(ready)


def _in_words(
    reason: Reason | Explanation | None, row: TaskRow, names: Mapping[UUID, str]
) -> Explanation:
    if isinstance(reason, Explanation):
        return reason
    worker_id = reason.worker_id if reason else None
    return explanation_of(reason, row.action_id, names.get(worker_id, "") if worker_id else "")
