"""Starts runs: inserts them with their first tasks, running from the start where there is a place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from engine.domain.assignment import ReadyTask
from engine.domain.definition import RegisteredVersion
from engine.domain.rate_limits import Taken
from engine.errors import Collision, IdempotencyCollision, InvalidArgument
from engine.operations.parts.adopt_children import adopt_children
from engine.operations.parts.arm_waits import new_waits
from engine.operations.parts.claim_keys import claim_children, claim_keys, record_failures
from engine.operations.parts.count_usage import taking_runs
from engine.operations.parts.fail_keyless import end_keyless, fail_keyless
from engine.operations.parts.group_keys import ask_for_slots
from engine.operations.parts.plan_runs import (
    NO_TRIGGER,
    PlannedRun,
    Trigger,
    plan_new_run,
    resolve_names,
)
from engine.operations.parts.start_actions import start_action
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
from engine.store.query import Operation, Query, fetch_all, fetch_last, place, repeatable
from engine.store.run_starts import NewStandalone
from engine.store.step_waits import NewWait
from engine.store.tasks import NewTask
from engine.types import TriggerRequest


def insert_runs(
    planned: Sequence[PlannedRun],
    now: datetime,
    *,
    first: Sequence[Query[Any]] = (),
    is_last: bool = False,
) -> Operation[Mapping[UUID, UUID]]:
    """Insert planned runs with their first tasks: running where a place was found for them, or queued.

    Left out are those with a problem, and those whose idempotency keys others hold: they are returned with
    the runs that hold the keys.

    `first` are queries to be run before, which cost no round trip of their own then. `is_last` says that the operation around it asks for nothing more, which saves a round trip.

    Raises LeaseLost when a place was found under a lease that has passed to another engine; LimitReached.
    """
    versions = yield from load_versions({item.run.version_id for item in planned})
    collisions: Mapping[UUID, UUID] = {}
    if any(item.run.idempotency_key is not None or item.problem for item in planned):
        if first:
            yield from fetch_all(*first)
            first = ()
        planned, collisions = yield from _claim_keys(planned, versions, now)
        if not planned:
            return collisions
    keyless = [task for item in planned for task in item.tasks if task.failure]
    waits = _new_waits(planned, versions)
    ready = _ready_tasks(planned, versions)
    places = yield from place(ready)
    worker_of = places.worker_of
    queries: list[Query[Any]] = [
        *first,
        *([leases.hold(places.epochs)] if places.epochs else []),
        *_insert(planned, versions, worker_of, now),
        *([step_waits.insert(waits, now)] if waits else []),
        *(fail_keyless(keyless, now) if keyless else []),
        *_consume(planned, places.taken, now),
        *_begin_durable(planned, versions, worker_of),
        *taking_runs(planned, now),
    ]
    is_last = is_last and not any(task.id != task.run_id for task in keyless)
    yield from fetch_last(*queries) if is_last else fetch_all(*queries)
    yield _changes_of(planned, versions, worker_of, now)
    yield Changes(
        ready=[entry for entry in ready if entry[1].id not in worker_of],
        sleeps_of={wait.tenant_id for wait in waits if wait.sleep_seconds is not None},
    )
    if keyless:
        yield from end_keyless(keyless, now)
    return collisions


def _claim_keys(
    planned: Sequence[PlannedRun], versions: Mapping[UUID, RegisteredVersion], now: datetime
) -> Operation[tuple[list[PlannedRun], Mapping[UUID, UUID]]]:
    """Return the runs that may start, and the holders of the keys of those that may not."""
    failed = [(item.run, item.problem) for item in planned if item.problem is not None]
    yield from record_failures(failed, versions, now)
    sound = [item for item in planned if item.problem is None]
    collisions = yield from claim_keys([item.run for item in sound], versions, now)
    return [item for item in sound if item.run.id not in collisions], collisions


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


def _ready_tasks(
    planned: Sequence[PlannedRun], versions: Mapping[UUID, RegisteredVersion]
) -> list[tuple[UUID, ReadyTask]]:
    return [
        (
            task.tenant_id,
            ready_task(
                versions[task.version_id],
                task.id,
                task.step_id,
                retry_count=0,
                priority=task.queue_priority,
                desired_worker_id=task.desired_worker_id,
                desired_labels=task.desired_labels,
                concurrency_keys=task.concurrency_keys,
            ),
        )
        for item in planned
        for task in item.tasks
        if not task.failure
    ]


def _changes_of(
    planned: Sequence[PlannedRun],
    versions: Mapping[UUID, RegisteredVersion],
    worker_of: Mapping[UUID, UUID],
    now: datetime,
) -> Changes:
    changes = Changes(wakes_clock=True)
    for item in planned:
        run = (item.run.tenant_id, item.run.id)
        changes.touched.add(run)
        changes.triggered.append(run)
        for task in item.tasks if worker_of else ():
            if worker_id := worker_of.get(task.id):
                action = start_action(item, task, versions[task.version_id], now)
                changes.assigned.append((worker_id, action))
    return changes


def _insert_standalone(
    planned: Sequence[PlannedRun], worker_of: Mapping[UUID, UUID], now: datetime
) -> Query[None]:
    return run_starts.insert_standalone(
        [
            NewStandalone(
                item.run,
                item.kind,
                task.queued_event_id,
                worker_of.get(item.run.id),
                task.concurrency_keys,
            )
            for item in planned
            for task in item.tasks
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


class Inserted(NamedTuple):
    """`ids` are each one's run in order: its own, an older one of its child key, or the holder of its
    idempotency key; the latter are in `collisions` too, by the run that was left out.
    """

    ids: list[UUID]
    collisions: Mapping[UUID, UUID]


@repeatable
def insert_new_runs(
    planned: Sequence[PlannedRun], now: datetime, *, is_last: bool = False
) -> Operation[Inserted]:
    """Insert those of these runs whose child keys name no run yet. See `insert_runs`."""
    ids = yield from claim_children([item.run for item in planned])
    new = [item for item, run_id in zip(planned, ids, strict=True) if item.run.id == run_id]
    collisions = (yield from insert_runs(new, now, is_last=is_last)) if new else {}
    return Inserted([collisions.get(run_id, run_id) for run_id in ids], collisions)


@repeatable
def trigger_runs(
    tenant_id: UUID,
    requests: Sequence[TriggerRequest],
    now: datetime,
    trigger: Trigger = NO_TRIGGER,
) -> Operation[list[UUID]]:
    """Start runs by the names of their workflows. Return their ids in request order.

    With IdempotencyCollision none of them is started.
    """
    triggered = yield from trigger_and_tell(tenant_id, requests, now, trigger)
    return [run.id for run in triggered]


class Triggered(NamedTuple):
    """A run that was asked for. `planned` is how it was written; None if more is to be said of it.

    There is more to say of a run that its parent had spawned before, and of one whose task failed at once.
    """

    id: UUID
    planned: PlannedRun | None


@repeatable
def trigger_and_tell(
    tenant_id: UUID,
    requests: Sequence[TriggerRequest],
    now: datetime,
    trigger: Trigger = NO_TRIGGER,
) -> Operation[list[Triggered]]:
    """Like `trigger_runs`, for those who show at once what was started."""
    versions = yield from resolve_names(tenant_id, [r.workflow_name for r in requests])
    adopted = yield from adopt_children(tenant_id, requests)
    planned = [plan_new_run(r, versions[r.workflow_name], trigger) for r in adopted]
    refuse_problems(planned)
    inserted = yield from insert_new_runs(planned, now)
    if inserted.collisions:
        raise collision_of(planned, inserted.collisions)
    return [
        Triggered(run_id, item if run_id == item.run.id and not _has_failed(item) else None)
        for run_id, item in zip(inserted.ids, planned, strict=True)
    ]


def _has_failed(item: PlannedRun) -> bool:
    return any(task.failure for task in item.tasks)
