"""Loads workflow versions. They never change, so one cache serves the whole process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from uuid import UUID

from engine.domain.affinity import load_labels
from engine.domain.assignment import Placement, ReadyTask
from engine.domain.concurrency import claims_of
from engine.domain.definition import RegisteredStep, RegisteredVersion
from engine.domain.definition_form import from_canonical_form
from engine.domain.rate_limits import limits_of
from engine.states import Sticky
from engine.store import workflows
from engine.store.query import Operation, fetch
from engine.store.queues import QueuedRow
from engine.store.tasks import TaskRow

_cache: dict[UUID, RegisteredVersion] = {}
_CACHE_LIMIT = 10_000


def load_versions(ids: Iterable[UUID]) -> Operation[Mapping[UUID, RegisteredVersion]]:
    """Return these versions by id; an id nobody registered is left out."""
    wanted = set(ids)
    missing = wanted - _cache.keys()
    if missing:
        if len(_cache) > _CACHE_LIMIT:
            _cache.clear()
            missing = wanted
        for row in (yield from fetch(workflows.versions(sorted(missing)))):
            _cache[row.version_id] = _registered(row)
    return {version_id: _cache[version_id] for version_id in wanted if version_id in _cache}


def _registered(row: workflows.VersionRow) -> RegisteredVersion:
    definition = from_canonical_form(row.definition)
    steps = tuple(
        RegisteredStep(step_id, ordinal, step)
        for ordinal, (step_id, step) in enumerate(zip(row.step_ids, definition.steps, strict=True))
    )
    return RegisteredVersion(row.version_id, row.workflow_id, row.tenant_id, definition, steps)


def readable_id(version_id: UUID, step_id: UUID) -> str | None:
    """Return a step's readable id if its version has been loaded by this process."""
    version = _cache.get(version_id)
    return step_of(version, step_id).definition.readable_id if version else None


def workflow_of(version_id: UUID) -> UUID | None:
    """Return the workflow of a version that has been loaded by this process."""
    version = _cache.get(version_id)
    return version.workflow_id if version else None


def ready_task(
    version: RegisteredVersion,
    task_id: UUID,
    step_id: UUID,
    *,
    retry_count: int,
    priority: int,
    desired_worker_id: UUID | None,
    desired_labels: str | None,
    concurrency_keys: str | None,
    is_restored: bool = False,
    has_begun: bool = False,
) -> ReadyTask:
    """Return a queued attempt as the scheduler sees it; the run's labels replace the step's."""
    registered = step_of(version, step_id)
    step = registered.definition
    labels = load_labels(desired_labels) if desired_labels else step.worker_labels
    placement = None
    if labels or desired_worker_id:
        is_bound = desired_worker_id is not None and version.definition.sticky is Sticky.HARD
        placement = Placement(labels, desired_worker_id, is_bound)
    return ReadyTask(
        task_id,
        retry_count,
        step.action_id,
        priority,
        step.slots,
        version.id,
        step_id,
        placement,
        claims_of(version, registered, concurrency_keys),
        is_restored,
        limits_of(concurrency_keys),
        has_begun,
    )


def ready_as_it_stands(row: TaskRow | QueuedRow, version: RegisteredVersion) -> ReadyTask:
    """Return the queued attempt a row holds, as the scheduler sees it."""
    return ready_task(
        version,
        row.id,
        row.step_id,
        retry_count=row.retry_count,
        priority=row.queue_priority,
        desired_worker_id=row.desired_worker_id,
        desired_labels=row.desired_labels,
        concurrency_keys=row.concurrency_keys,
        is_restored=row.is_evicted,
        has_begun=row.has_begun,
    )


@lru_cache(maxsize=10_000)
def durable_steps(version: RegisteredVersion) -> frozenset[UUID]:
    """Return the steps whose tasks are durable."""
    return frozenset(step.id for step in version.steps if step.definition.is_durable)


def step_of(version: RegisteredVersion, step_id: UUID) -> RegisteredStep:
    """Return one step of a version by id."""
    if len(version.steps) == 1:
        return version.steps[0]
    return next(step for step in version.steps if step.id == step_id)
