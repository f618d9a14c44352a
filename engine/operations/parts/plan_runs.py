"""Plans new runs: their rows, first tasks, keys and limits, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from engine.domain import plan_run
from engine.domain.affinity import dump_labels
from engine.domain.cel.answers import asking_for, repeated_id
from engine.domain.concurrency import (
    NO_KEYS,
    Keys,
    key_variables,
    make_keys,
    make_run_keys,
)
from engine.domain.definition import RegisteredStep, RegisteredVersion
from engine.domain.task_keys import keyed_steps, with_limits
from engine.errors import InvalidArgument
from engine.operations.parts.claim_keys import evaluate_key
from engine.operations.parts.start_steps import new_task
from engine.operations.parts.versions import load_versions
from engine.states import RunTrigger, Status
from engine.store import workflows
from engine.store.query import Operation, fetch
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
    asking_for(version.tenant_id)
    key, problem = _key_of(request, version)
    run = _new_run(request, version, trigger, run_id=run_id or repeated_id(), key=key)
    task_id = None if run.is_dag else run.id
    first, armed = first_steps(version)
    run_keys, keys_of = _first_keys(run, version, first)
    return PlannedRun(
        run,
        tuple(
            _first_task(run, version, step, task_id=task_id, keys=keys)
            for step, keys in zip(first, keys_of, strict=True)
        ),
        None if run.is_dag or armed else _standalone_kind(version),
        tuple(_first_task(run, version, step, task_id=task_id, is_parked=True) for step in armed),
        problem,
        run_keys.stored,
    )


def _new_run(
    request: TriggerRequest,
    version: RegisteredVersion,
    trigger: Trigger,
    *,
    run_id: UUID,
    key: str | None,
) -> NewRun:
    definition, is_child = version.definition, request.parent_task_id is not None
    return NewRun(
        id=run_id,
        tenant_id=version.tenant_id,
        workflow_id=version.workflow_id,
        version_id=version.id,
        status=Status.QUEUED,
        is_dag=definition.is_dag,
        priority=request.priority or definition.default_priority or DEFAULT_PRIORITY,
        trigger=_trigger_of(request, trigger),
        input=request.input,
        additional_metadata=_text(request.additional_metadata),
        parent_run_id=request.parent_run_id,
        parent_task_id=request.parent_task_id,
        child_index=request.child_index if is_child else None,
        child_key=request.child_key if is_child else None,
        event_id=trigger.event_id,
        event_key=trigger.event_key,
        filter_id=trigger.filter_id,
        filter_payload=trigger.filter_payload,
        desired_worker_id=request.desired_worker_id if definition.sticky is not None else None,
        desired_labels=dump_labels(request.desired_labels),
        idempotency_key=key,
    )


def _first_keys(
    run: NewRun, version: RegisteredVersion, steps: Sequence[RegisteredStep]
) -> tuple[Keys, list[Keys]]:
    """Evaluate the keys of concurrency groups and rate limits: the run's own, and each first step's."""
    variables: dict[str, bytes | str] = {}
    run_keys = NO_KEYS
    if keyed_steps(version):
        variables = key_variables(run.id, run.input, run.additional_metadata)
        run_keys = make_run_keys(version, variables, run.id, priority=run.priority, arrival=run.id)
    return run_keys, [
        with_limits(
            make_keys(
                version,
                step,
                variables,
                priority=run.priority,
                arrival=run.id,
                run_keys=run_keys,
            ),
            step,
            variables,
        )
        for step in steps
    ]


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
