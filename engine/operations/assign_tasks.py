"""Writes a scheduler's assignments; the workers are sent what they need to run them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar
from uuid import UUID

from engine.domain.assignment import ReadyTask
from engine.domain.batches import MAX_BATCH_BYTES
from engine.domain.conditions import sleep_data
from engine.domain.definition import RegisteredVersion
from engine.domain.payload import action_payload
from engine.domain.rate_limits import Taken
from engine.operations.parts.arm_waits import waiting_steps
from engine.operations.parts.start_batches import (
    MadeBatch,
    find_abandoned,
    gather_made,
    gather_undelivered,
    memberships,
    split_large,
)
from engine.operations.parts.versions import durable_steps, load_versions, step_of
from engine.states import ConditionKind, Status, StepKind
from engine.store import (
    assignments,
    batches,
    durable_tasks,
    leases,
    rate_limits,
    run_slots,
    runs,
    step_waits,
    tasks,
)
from engine.store.assignments import AssignedRow, Wanted
from engine.store.changes import Changes
from engine.store.query import Operation, Query, fetch, fetch_all
from engine.store.tasks import TaskRow
from engine.types import Action, ActionKind

MAX_USER_PRIORITY = 3

AnyRow = TypeVar("AnyRow", ReadyTask, AssignedRow, TaskRow)


def assign_tasks(
    decisions: Sequence[tuple[ReadyTask, UUID]],
    epochs: Mapping[UUID, int],
    now: datetime,
    made: Sequence[MadeBatch] = (),
    taken: Mapping[UUID, Sequence[Taken]] = MappingProxyType({}),
    *,
    max_batch_bytes: int = MAX_BATCH_BYTES,
) -> Operation[list[tuple[UUID, Action]]]:
    """Assign queued attempts to workers; return (worker id, action) of those still queued.

    Those of a batch in `made` are one action together; `taken` are the units of rate limits, by task,
    that are written with those assigned. Raises LeaseLost when a lease has passed to another
    engine: nothing is written then.
    """
    versions = yield from load_versions(task.version_id for task, _ in decisions)
    queries: list[Query[Any]] = [leases.hold(epochs)]
    if of_dags := [w.id for w, _ in decisions if versions[w.version_id].definition.is_dag]:
        queries.append(runs.lock_queued_of_tasks(of_dags))
    if durable := _durable([task for task, _ in decisions], versions):
        queries.append(durable_tasks.lock(sorted(task.id for task in durable)))
    queries.append(assignments.assign(_wanted(decisions, versions), now))
    assigned = len(queries) - 1
    if made:
        queries.append(batches.mark(memberships(made), now))
    limited = {w.claims.run.id for w, _ in decisions if w.claims is not None and w.claims.run}
    if limited:
        queries.append(run_slots.hold([UUID(int=run_id) for run_id in sorted(limited)]))
    rows = (yield from fetch_all(*queries))[assigned]
    if taken:
        written = [(versions[row.version_id].tenant_id, taken.get(row.id, ())) for row in rows]
        yield from fetch(rate_limits.consume(written, now))
    invocations: dict[UUID, int] = {}
    if begun := [(row.id, versions[row.version_id].tenant_id) for row in _durable(rows, versions)]:
        invocations = dict((yield from fetch(durable_tasks.begin(begun))))
    actions = yield from actions_of(rows, versions, invocations)
    if made:
        fitting, split = split_large(made, actions, max_batch_bytes)
        if split:
            yield from fetch(batches.mark(memberships(split), now))
        actions = gather_made(actions, fitting, now)
    touched = {(action.tenant_id, item.run_id) for _, action in actions for item in action.items}
    yield Changes(assigned=actions, touched=touched, wakes_clock=True)
    return actions


def _wanted(
    decisions: Sequence[tuple[ReadyTask, UUID]], versions: Mapping[UUID, RegisteredVersion]
) -> list[Wanted]:
    """Return the decisions in the order in which their rows are locked."""
    return sorted(
        Wanted(
            task.id,
            task.retry_count,
            worker_id,
            step_of(versions[task.version_id], task.step_id).definition.execution_timeout_seconds,
        )
        for task, worker_id in decisions
    )


def _durable(
    rows: Sequence[AnyRow], versions: Mapping[UUID, RegisteredVersion]
) -> Sequence[AnyRow]:
    if not any(durable_steps(version) for version in versions.values()):
        return ()
    return [row for row in rows if row.step_id in durable_steps(versions[row.version_id])]


def _load_invocations(
    rows: Sequence[AnyRow], versions: Mapping[UUID, RegisteredVersion]
) -> Operation[dict[UUID, int]]:
    """Return the present invocations of those of these tasks that are durable."""
    durable = _durable(rows, versions)
    if not durable:
        return {}
    return dict((yield from fetch(durable_tasks.invocations([row.id for row in durable]))))


def actions_of(
    rows: Sequence[AssignedRow],
    versions: Mapping[UUID, RegisteredVersion],
    invocations: Mapping[UUID, int],
) -> Operation[list[tuple[UUID, Action]]]:
    """Build what each assigned row's worker is sent, with the outcomes of the DAG so far."""
    dag_runs = sorted({row.run_id for row in rows if row.run_id != row.id})
    outputs: dict[UUID, dict[str, bytes]] = defaultdict(dict)
    errors: dict[UUID, dict[str, bytes]] = defaultdict(dict)
    if dag_runs:
        for outcome in (yield from fetch(tasks.outputs_of_runs(dag_runs, is_for_start=True))):
            into = outputs if outcome.status == Status.COMPLETED else errors
            into[outcome.run_id][outcome.readable_id] = outcome.data or b""
    satisfied = yield from _load_satisfied(rows, versions)
    return [
        (
            row.worker_id,
            _action(
                row,
                versions[row.version_id],
                outputs[row.run_id],
                errors=errors[row.run_id],
                satisfied=satisfied.get(row.id),
                invocation=invocations.get(row.id),
            ),
        )
        for row in rows
    ]


def _load_satisfied(
    rows: Sequence[AssignedRow], versions: Mapping[UUID, RegisteredVersion]
) -> Operation[dict[UUID, dict[str, bytes]]]:
    """Return by task and data key what met the conditions it waited for; of several the first."""
    steps = {
        row.id: step_of(versions[row.version_id], row.step_id).definition
        for row in rows
        if row.step_id in waiting_steps(versions[row.version_id])
    }
    found: dict[UUID, dict[str, bytes]] = defaultdict(dict)
    if steps:
        for wait in (yield from fetch(step_waits.data(sorted(steps)))):
            condition = steps[wait.task_id].conditions[wait.ordinal]
            is_sleep = condition.kind is ConditionKind.SLEEP
            data = sleep_data(condition) if is_sleep else wait.payload or b"{}"
            found[wait.task_id].setdefault(condition.data_key, data)
    return found


def _action(
    row: AssignedRow,
    version: RegisteredVersion,
    outputs: Mapping[str, bytes],
    *,
    errors: Mapping[str, bytes],
    satisfied: Mapping[str, bytes] | None,
    invocation: int | None,
) -> Action:
    step = step_of(version, row.step_id).definition
    is_on_failure = step.kind is StepKind.ON_FAILURE
    return Action(
        kind=ActionKind.START,
        tenant_id=version.tenant_id,
        run_id=row.run_id,
        task_id=row.id,
        step_id=row.step_id,
        action_id=step.action_id,
        readable_id=step.readable_id,
        retry_count=row.retry_count,
        priority=row.priority,
        workflow_id=version.workflow_id,
        version_id=version.id,
        payload=action_payload(
            row.input or b"{}",
            parents=outputs,
            errors=errors if is_on_failure else None,
            satisfied=satisfied,
            filter_payload=row.filter_payload,
            by_event=row.event_id is not None,
        ),
        additional_metadata=row.additional_metadata.encode() if row.additional_metadata else None,
        parent_run_id=row.parent_run_id,
        child_index=row.child_index,
        child_key=row.child_key,
        event_id=row.event_id,
        event_key=row.event_key,
        created_at=row.created_at,
        durable_invocation=invocation,
    )


def load_undelivered(
    worker_ids: Sequence[UUID], task_ids: Sequence[UUID] | None = None
) -> Operation[list[tuple[UUID, Action]]]:
    """Return the actions of attempts assigned to these workers and not acknowledged yet.

    With `task_ids` of these tasks only. Of a batch name all or none.
    """
    rows = yield from fetch(assignments.undelivered_of_worker(worker_ids, task_ids))
    versions = yield from load_versions(row.version_id for row in rows)
    invocations = yield from _load_invocations(rows, versions)
    actions = yield from actions_of(rows, versions, invocations)
    return (yield from gather_undelivered(actions, versions))


def load_cancels(
    tenant_id: UUID, stops: Sequence[tuple[UUID, UUID, int]]
) -> Operation[list[tuple[UUID, Action]]]:
    """Return the CANCEL actions of (worker, task, retry count): they name the attempt being stopped.

    A batch is stopped as a whole, when nothing is left of it.
    """
    rows = yield from fetch(tasks.by_ids(tenant_id, [task_id for _, task_id, _ in stops]))
    versions = yield from load_versions(row.version_id for row in rows)
    row_of = {row.id: row for row in rows}
    durable = {row.id for row in _durable(rows, versions)}
    stopped = [(task_id, retries) for _, task_id, retries in stops if task_id in durable]
    found = (yield from fetch(durable_tasks.deliveries(stopped))) if stopped else []
    delivery_of = {(task_id, retry_count): number for task_id, retry_count, number in found}
    batched = {
        row.id for row in rows if step_of(versions[row.version_id], row.step_id).definition.batch
    }
    batch_of = yield from find_abandoned(stops, batched)
    return [
        (
            worker_id,
            _cancel(
                row_of[task_id],
                versions[row_of[task_id].version_id],
                retry_count,
                invocation=delivery_of.get((task_id, retry_count)),
                batch_id=batch_of.get(task_id),
            ),
        )
        for worker_id, task_id, retry_count in stops
        if task_id in row_of and (task_id not in batched or task_id in batch_of)
    ]


def _cancel(
    row: TaskRow,
    version: RegisteredVersion,
    retry_count: int,
    *,
    invocation: int | None,
    batch_id: UUID | None,
) -> Action:
    return Action(
        kind=ActionKind.CANCEL,
        tenant_id=row.tenant_id,
        run_id=batch_id or row.run_id,
        task_id=batch_id or row.id,
        step_id=row.step_id,
        action_id=row.action_id,
        readable_id=step_of(version, row.step_id).definition.readable_id,
        retry_count=0 if batch_id else retry_count,
        priority=min(row.queue_priority, MAX_USER_PRIORITY),
        workflow_id=row.workflow_id,
        version_id=row.version_id,
        durable_invocation=invocation,
    )
