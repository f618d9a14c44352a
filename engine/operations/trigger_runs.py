"""Starts runs: inserts them with their first tasks, already assigned where a scheduler said so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from engine.domain.definition import RegisteredVersion
from engine.domain.rate_limits import Taken
from engine.errors import Collision, IdempotencyCollision, InvalidArgument
from engine.operations.parts.adopt_children import adopt_children
from engine.operations.parts.arm_waits import new_waits
from engine.operations.parts.claim_keys import claim_children, claim_keys, record_failures
from engine.operations.parts.fail_keyless import end_keyless, fail_keyless
from engine.operations.parts.group_keys import ask_for_slots
from engine.operations.parts.plan_runs import PlannedRun, plan_new_run, resolve_names
from engine.operations.parts.start_steps import events_of
from engine.operations.parts.versions import durable_steps, load_versions, ready_task, step_of
from engine.states import PayloadKind, Status
from engine.store import (
    durable_tasks,
    leases,
    payloads,
    rate_limits,
    run_starts,
    step_waits,
    task_events,
    tasks,
)
from engine.store.changes import Changes
from engine.store.payloads import NewPayload
from engine.store.query import Operation, Query, fetch_all, fetch_last, repeatable
from engine.store.step_waits import NewWait
from engine.store.tasks import NewTask
from engine.types import TriggerRequest


def insert_runs(
    planned: Sequence[PlannedRun],
    now: datetime,
    *,
    worker_of: Mapping[UUID, UUID] = MappingProxyType({}),
    epochs: Mapping[UUID, int] = MappingProxyType({}),
    taken: Mapping[UUID, Sequence[Taken]] = MappingProxyType({}),
    is_last: bool = False,
) -> Operation[Mapping[UUID, UUID]]:
    """Insert planned runs; tasks in `worker_of` run there from the start, under the leases `epochs`, and
    with the units of rate limits that each has `taken`.

    Left out are those with a problem, and those whose idempotency keys others hold: they are returned with
    the runs that hold the keys.

    `is_last` says that the operation around it asks for nothing more, which saves a round trip.

    Raises LeaseLost when one of the leases has passed to another engine.
    """
    versions = yield from load_versions({item.run.version_id for item in planned})
    collisions: Mapping[UUID, UUID] = {}
    if any(item.run.idempotency_key is not None or item.problem for item in planned):
        failed = [(item.run, item.problem) for item in planned if item.problem is not None]
        yield from record_failures(failed, versions, now)
        planned = [item for item in planned if item.problem is None]
        collisions = yield from claim_keys([item.run for item in planned], versions, now)
        planned = [item for item in planned if item.run.id not in collisions]
        if not planned:
            return collisions
    keyless = [task for item in planned for task in item.tasks if task.failure]
    waits = _new_waits(planned, versions)
    queries: list[Query[Any]] = [
        *([leases.hold(epochs)] if epochs else []),
        *_insert(planned, versions, worker_of, now),
        *([step_waits.insert(waits, now)] if waits else []),
        *(fail_keyless(keyless, now) if keyless else []),
        *_consume(planned, taken, now),
        *_begin_durable(planned, versions, worker_of),
    ]
    is_last = is_last and not any(task.id != task.run_id for task in keyless)
    yield from fetch_last(*queries) if is_last else fetch_all(*queries)
    yield _changes_of(planned, versions, worker_of, waits)
    if keyless:
        yield from end_keyless(keyless, now)
    return collisions


def _insert(
    planned: Sequence[PlannedRun],
    versions: Mapping[UUID, RegisteredVersion],
    worker_of: Mapping[UUID, UUID],
    now: datetime,
) -> Iterator[Query[Any]]:
    if filtered := [
        NewPayload(item.run.id, PayloadKind.FILTER, item.run.filter_payload)
        for item in planned
        if item.run.filter_payload is not None
    ]:
        yield payloads.insert(filtered)
    if standalone := [item for item in planned if item.kind]:
        yield _insert_standalone(standalone, worker_of, now)
    if others := [item for item in planned if not item.kind]:
        yield from _insert_others(others, worker_of, versions, now=now)


def _consume(
    planned: Sequence[PlannedRun], taken: Mapping[UUID, Sequence[Taken]], now: datetime
) -> list[Query[Any]]:
    if not taken:
        return []
    written = [(task.tenant_id, taken.get(task.id, ())) for item in planned for task in item.tasks]
    return [rate_limits.consume(written, now)]


def _begin_durable(
    planned: Sequence[PlannedRun],
    versions: Mapping[UUID, RegisteredVersion],
    worker_of: Mapping[UUID, UUID],
) -> list[Query[Any]]:
    """Begin the first invocation of durable tasks that run from the start."""
    if not worker_of or not any(durable_steps(version) for version in versions.values()):
        return []
    begun = [
        (task.id, task.tenant_id)
        for item in planned
        for task in item.tasks
        if task.id in worker_of and task.step_id in durable_steps(versions[task.version_id])
    ]
    return [durable_tasks.begin(begun)] if begun else []


def _changes_of(
    planned: Sequence[PlannedRun],
    versions: Mapping[UUID, RegisteredVersion],
    worker_of: Mapping[UUID, UUID],
    waits: Sequence[NewWait],
) -> Changes:
    sleeps_of = {wait.tenant_id for wait in waits if wait.sleep_seconds is not None}
    changes = Changes(sleeps_of=sleeps_of, wakes_clock=True)
    for item in planned:
        run = (item.run.tenant_id, item.run.id)
        changes.touched.add(run)
        changes.triggered.append(run)
        for task in item.tasks:
            if task.id not in worker_of and not task.failure:
                ready = ready_task(
                    versions[task.version_id],
                    task.id,
                    task.step_id,
                    retry_count=0,
                    priority=task.queue_priority,
                    desired_worker_id=task.desired_worker_id,
                    desired_labels=task.desired_labels,
                    concurrency_keys=task.concurrency_keys,
                )
                changes.ready.append((task.tenant_id, ready))
    return changes


def _insert_standalone(
    planned: Sequence[PlannedRun], worker_of: Mapping[UUID, UUID], now: datetime
) -> Query[None]:
    return run_starts.insert_standalone(
        [
            (item.run, item.kind, worker_of.get(item.run.id), item.tasks[0].concurrency_keys)
            for item in planned
            if item.kind
        ],
        now,
    )


def _insert_others(
    planned: Sequence[PlannedRun],
    worker_of: Mapping[UUID, UUID],
    versions: Mapping[UUID, RegisteredVersion],
    *,
    now: datetime,
) -> list[Query[None]]:
    new_runs, new_tasks = [], []
    for item in planned:
        is_started = any(task.id in worker_of for task in item.tasks)
        status = Status.RUNNING if is_started else Status.QUEUED
        new_runs.append(item.run._replace(status=status))
        version = versions[item.run.version_id]
        new_tasks += [_assigned(task, worker_of, version) for task in item.tasks]
        new_tasks += item.waiting
    return [
        run_starts.insert(new_runs, now),
        tasks.insert(new_tasks, now),
        task_events.insert(events_of(new_tasks), now),
        *ask_for_slots([(item.run, item.run_keys) for item in planned], new_tasks),
    ]


def _new_waits(
    planned: Sequence[PlannedRun], versions: Mapping[UUID, RegisteredVersion]
) -> list[NewWait]:
    return [
        wait
        for item in planned
        if not item.kind
        for task in item.waiting
        for wait in new_waits(task, step_of(versions[task.version_id], task.step_id))
    ]


def _assigned(task: NewTask, worker_of: Mapping[UUID, UUID], version: RegisteredVersion) -> NewTask:
    if task.id not in worker_of:
        return task
    return task._replace(
        status=Status.RUNNING,
        worker_id=worker_of[task.id],
        timeout_seconds=step_of(version, task.step_id).definition.execution_timeout_seconds,
    )


def refuse_problems(planned: Iterable[PlannedRun]) -> None:
    """Raise InvalidArgument for the first run whose key could not be evaluated."""
    for item in planned:
        if item.problem is not None:
            raise InvalidArgument(item.problem)


def collision_of(
    planned: Sequence[PlannedRun], collisions: Mapping[UUID, UUID], started: Sequence[UUID] = ()
) -> IdempotencyCollision:
    """Return the error that tells a caller which of the runs it asked for collided."""
    ids = [item.run.id for item in planned]
    found = [Collision(collisions[run_id], run_id) for run_id in ids if run_id in collisions]
    return IdempotencyCollision(found, started)


@repeatable
def trigger_runs(
    tenant_id: UUID, requests: Sequence[TriggerRequest], now: datetime
) -> Operation[list[UUID]]:
    """Start runs without a scheduler at hand: they are queued. Return their ids in request order.

    With IdempotencyCollision none of them is started.
    """
    versions = yield from resolve_names(tenant_id, [r.workflow_name for r in requests])
    adopted = yield from adopt_children(tenant_id, requests)
    planned = [plan_new_run(request, versions[request.workflow_name]) for request in adopted]
    refuse_problems(planned)
    ids = yield from claim_children([item.run for item in planned])
    new = [item for item, run_id in zip(planned, ids, strict=True) if item.run.id == run_id]
    if new and (collisions := (yield from insert_runs(new, now))):
        raise collision_of(planned, collisions)
    return ids
