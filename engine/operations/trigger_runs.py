"""Starts runs: inserts them with their first tasks, already assigned where a scheduler said so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from engine.domain import plan_run
from engine.domain.affinity import dump_wishes
from engine.domain.concurrency import (
    NO_KEYS,
    Keys,
    key_variables,
    make_keys,
    make_run_keys,
)
from engine.domain.definition import RegisteredStep, RegisteredVersion
from engine.domain.rate_limits import Taken
from engine.domain.task_keys import keyed_steps, with_limits
from engine.errors import Collision, IdempotencyCollision, InvalidArgument
from engine.ids import new_id
from engine.operations.adopt_children import adopt_children
from engine.operations.arm_waits import new_waits
from engine.operations.changes import Changes
from engine.operations.claim_keys import claim_children, claim_keys, evaluate_key, record_failures
from engine.operations.fail_keyless import end_keyless, fail_keyless
from engine.operations.group_keys import ask_for_slots
from engine.operations.start_steps import events_of, new_task
from engine.operations.versions import durable_steps, load_versions, ready_task, step_of
from engine.states import PayloadKind, RunTrigger, Status
from engine.store import (
    durable_tasks,
    leases,
    payloads,
    rate_limits,
    run_starts,
    step_waits,
    task_events,
    tasks,
    workflows,
)
from engine.store.payloads import NewPayload
from engine.store.query import Operation, Query, fetch, fetch_all, fetch_last
from engine.store.run_starts import NewRun, StandaloneKind
from engine.store.tasks import NewTask
from engine.types import TriggerRequest

DEFAULT_PRIORITY = 1


class PlannedRun(NamedTuple):
    """A run ready to insert, with the tasks it starts with."""

    run: NewRun
    tasks: tuple[NewTask, ...]
    kind: StandaloneKind | None
    """What a standalone run shares with others of its step; None for a DAG run, and if it must wait."""
    waiting: tuple[NewTask, ...] = ()
    """Parked tasks of steps that wait for sleeps or events first."""
    problem: str | None = None
    """Why its idempotency key could not be evaluated: it is not to be inserted."""
    run_keys: str | None = None
    """Those of its workflow's concurrency groups, if whole runs count there."""


class Trigger(NamedTuple):
    """What started a run, when it was not a plain call."""

    kind: RunTrigger = RunTrigger.MANUAL
    event_id: UUID | None = None
    event_key: str | None = None
    filter_id: UUID | None = None
    filter_payload: bytes | None = None


NO_TRIGGER = Trigger()


def resolve_names(
    tenant_id: UUID, names: Sequence[str]
) -> Operation[Mapping[str, RegisteredVersion]]:
    """Return the latest versions of these workflow names. InvalidArgument names the unknown ones."""
    unique = sorted(set(names))
    rows = yield from fetch(workflows.resolve(tenant_id, unique))
    version_of = {row.name: row.version_id for row in rows if row.version_id}
    missing = [name for name in unique if name not in version_of]
    if missing:
        raise InvalidArgument(f"workflow names not found: {', '.join(missing)}")
    versions = yield from load_versions(version_of.values())
    return {name: versions[version_id] for name, version_id in version_of.items()}


def plan_new_run(
    request: TriggerRequest,
    version: RegisteredVersion,
    trigger: Trigger = NO_TRIGGER,
    *,
    run_id: UUID | None = None,
) -> PlannedRun:
    """Give a requested run its id and first tasks. A standalone task has its run's id."""
    run_id = run_id or new_id()
    is_dag = version.definition.is_dag
    priority = request.priority or version.definition.default_priority or DEFAULT_PRIORITY
    key, problem = _key_of(request, version)
    run = NewRun(
        id=run_id,
        tenant_id=version.tenant_id,
        workflow_id=version.workflow_id,
        version_id=version.id,
        status=Status.QUEUED,
        is_dag=is_dag,
        priority=priority,
        trigger=_trigger_of(request, trigger),
        input=request.input,
        additional_metadata=_text(request.additional_metadata),
        parent_run_id=request.parent_run_id,
        parent_task_id=request.parent_task_id,
        child_index=request.child_index if request.parent_task_id else None,
        child_key=request.child_key if request.parent_task_id else None,
        event_id=trigger.event_id,
        event_key=trigger.event_key,
        filter_id=trigger.filter_id,
        filter_payload=trigger.filter_payload,
        desired_worker_id=request.desired_worker_id
        if version.definition.sticky is not None
        else None,
        desired_labels=dump_wishes(request.desired_labels),
        idempotency_key=key,
    )
    variables: dict[str, bytes | str] = {}
    run_keys = NO_KEYS
    if keyed_steps(version):
        variables = key_variables(run_id, run.input, run.additional_metadata)
        run_keys = make_run_keys(version, variables, run_id, priority=priority, arrival=run_id)
    first, armed = first_steps(version)
    task_id = None if is_dag else run_id
    return PlannedRun(
        run,
        tuple(
            _first_task(
                run,
                version,
                step,
                task_id=task_id,
                keys=with_limits(
                    make_keys(
                        version,
                        step,
                        variables,
                        priority=priority,
                        arrival=run_id,
                        run_keys=run_keys,
                    ),
                    step,
                    variables,
                ),
            )
            for step in first
        ),
        None if is_dag or armed else _standalone_kind(version),
        tuple(_first_task(run, version, step, task_id=task_id, is_parked=True) for step in armed),
        problem,
        run_keys.stored,
    )


def _trigger_of(request: TriggerRequest, trigger: Trigger) -> RunTrigger:
    if request.parent_task_id and trigger.kind is not RunTrigger.DURABLE_CHILD:
        return RunTrigger.CHILD
    return trigger.kind


def _first_task(
    run: NewRun,
    version: RegisteredVersion,
    step: RegisteredStep,
    *,
    task_id: UUID | None,
    is_parked: bool = False,
    keys: Keys = NO_KEYS,
) -> NewTask:
    return new_task(
        run.id,
        version,
        step,
        priority=run.priority,
        task_id=task_id,
        is_parked=is_parked,
        desired_worker_id=run.desired_worker_id,
        desired_labels=run.desired_labels,
        keys=keys,
    )


def _key_of(request: TriggerRequest, version: RegisteredVersion) -> tuple[str | None, str | None]:
    """Return the run's idempotency key, if its workflow has any, and what is wrong with it."""
    settings = version.definition.idempotency
    if settings is None:
        return None, None
    found = evaluate_key(settings.expression, request.input, request.additional_metadata)
    if found.error is None:
        return found.value, None
    return None, f"idempotency key of workflow {version.definition.name}: {found.error}"


@lru_cache(maxsize=10_000)
def first_steps(
    version: RegisteredVersion,
) -> tuple[tuple[RegisteredStep, ...], tuple[RegisteredStep, ...]]:
    """Return the steps a run of this version starts with, and those that wait from the start."""
    plan = plan_run.start(version)
    return tuple(new.step for new in plan.create), plan.arm


@lru_cache(maxsize=10_000)
def _standalone_kind(version: RegisteredVersion) -> StandaloneKind:
    step = version.steps[0]
    return StandaloneKind(
        version.tenant_id,
        version.workflow_id,
        version.id,
        step.id,
        step.definition.action_id,
        step.definition.schedule_timeout_seconds,
        step.definition.execution_timeout_seconds,
    )


def _text(data: bytes | None) -> str | None:
    return data.decode() if data else None


def insert_runs(
    planned: Sequence[PlannedRun],
    now: datetime,
    *,
    worker_of: Mapping[UUID, UUID] = MappingProxyType({}),
    epochs: Mapping[UUID, int] = MappingProxyType({}),
    taken: Mapping[UUID, Sequence[Taken]] = MappingProxyType({}),
    is_last: bool = False,
) -> Operation[Changes]:
    """Insert planned runs; tasks in `worker_of` run there from the start, under the leases `epochs`, and
    with the units of rate limits that each has `taken`.

    Left out are those with a problem, and those whose idempotency keys others hold: `collisions`.

    `is_last` says that the operation around it asks for nothing more, which saves a round trip.

    Raises the database's HT001 when one of the leases has passed to another engine.
    """
    versions = yield from load_versions({item.run.version_id for item in planned})
    changes = Changes(wakes_clock=True)
    if any(item.run.idempotency_key is not None or item.problem for item in planned):
        failed = [(item.run, item.problem) for item in planned if item.problem is not None]
        yield from record_failures(failed, versions, now)
        planned = [item for item in planned if item.problem is None]
        collisions = yield from claim_keys([item.run for item in planned], versions, now)
        changes.collisions.update(collisions)
        planned = [item for item in planned if item.run.id not in collisions]
        if not planned:
            return changes
    queries: list[Query[Any]] = [leases.hold(epochs)] if epochs else []
    if filtered := [
        NewPayload(item.run.id, PayloadKind.FILTER, item.run.filter_payload)
        for item in planned
        if item.run.filter_payload is not None
    ]:
        queries.append(payloads.insert(filtered))
    if standalone := [item for item in planned if item.kind]:
        queries.append(_insert_standalone(standalone, worker_of, now))
    if others := [item for item in planned if not item.kind]:
        queries += _insert_others(others, worker_of, versions, now=now)
        queries += _insert_waits(others, versions, changes, now=now)
    keyless = [task for item in planned for task in item.tasks if task.failure]
    if keyless:
        queries += fail_keyless(keyless, now)
    if taken:
        written = [
            (task.tenant_id, taken.get(task.id, ())) for item in planned for task in item.tasks
        ]
        queries.append(rate_limits.consume(written, now))
    is_last = is_last and not any(task.id != task.run_id for task in keyless)
    queries += _begin_durable(planned, versions, worker_of)
    yield from fetch_last(*queries) if is_last else fetch_all(*queries)
    _collect(planned, versions, worker_of, changes)
    if keyless:
        yield from end_keyless(keyless, now, changes)
    return changes


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


def _collect(
    planned: Sequence[PlannedRun],
    versions: Mapping[UUID, RegisteredVersion],
    worker_of: Mapping[UUID, UUID],
    changes: Changes,
) -> None:
    for item in planned:
        changes.touched.add((item.run.tenant_id, item.run.id))
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


def _insert_waits(
    planned: Sequence[PlannedRun],
    versions: Mapping[UUID, RegisteredVersion],
    changes: Changes,
    *,
    now: datetime,
) -> list[Query[None]]:
    waits = [
        wait
        for item in planned
        for task in item.waiting
        for wait in new_waits(task, step_of(versions[task.version_id], task.step_id))
    ]
    changes.sleeps_of |= {wait.tenant_id for wait in waits if wait.sleep_seconds is not None}
    return [step_waits.insert(waits, now)] if waits else []


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


def trigger_runs(
    tenant_id: UUID, requests: Sequence[TriggerRequest], now: datetime
) -> Operation[tuple[list[UUID], Changes]]:
    """Start runs without a scheduler at hand: they are queued. Return their ids in request order.

    With IdempotencyCollision none of them is started.
    """
    versions = yield from resolve_names(tenant_id, [r.workflow_name for r in requests])
    adopted = yield from adopt_children(tenant_id, requests)
    planned = [plan_new_run(request, versions[request.workflow_name]) for request in adopted]
    refuse_problems(planned)
    ids = yield from claim_children([item.run for item in planned])
    new = [item for item, run_id in zip(planned, ids, strict=True) if item.run.id == run_id]
    if not new:
        return ids, Changes()
    changes = yield from insert_runs(new, now)
    if changes.collisions:
        raise collision_of(planned, changes.collisions)
    return ids, changes
