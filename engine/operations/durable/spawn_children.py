"""Starts the children of durable tasks; one that cannot be started completes its entry as a failure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.domain.definition import RegisteredVersion
from engine.domain.durable.calls import Node
from engine.errors import HatchetError
from engine.operations.durable.locked_logs import Logs, OpenLog
from engine.operations.parts.adopt_children import adopt_children
from engine.operations.parts.plan_runs import PlannedRun, Trigger, plan_new_run
from engine.operations.parts.versions import load_versions
from engine.operations.trigger_runs import insert_runs
from engine.states import RunTrigger
from engine.store import workflows
from engine.store.query import Operation, fetch
from engine.types import TriggerRequest

_BY_DURABLE_TASK = Trigger(RunTrigger.DURABLE_CHILD)


class Spawned(NamedTuple):
    """A child that got a new entry, which names its run."""

    parent: OpenLog
    node: Node
    run_id: UUID
    request: TriggerRequest

    def fail(self, reason: str) -> None:
        self.parent.log.satisfy(self.node, b"", reason)


def spawn_children(spawned: Sequence[Spawned], logs: Logs, now: datetime) -> Operation[None]:
    """Insert the runs of these children, queued."""
    planned: dict[UUID, tuple[Spawned, PlannedRun]] = {}
    of_tenant: dict[UUID, list[Spawned]] = defaultdict(list)
    for child in spawned:
        of_tenant[child.parent.task.tenant_id].append(child)
    for tenant_id, children in of_tenant.items():
        requests = yield from adopt_children(tenant_id, [_adoptable(child) for child in children])
        versions = yield from _resolve(tenant_id, {r.workflow_name for r in requests})
        for child, request in zip(children, requests, strict=True):
            run = _plan(child, request, versions)
            if run is not None:
                planned[child.run_id] = child, run
    if not planned:
        return
    collisions = yield from insert_runs([run for _, run in planned.values()], now)
    for run_id, holder in collisions.items():
        planned[run_id][0].fail(f"the run collides with {holder}, which has its idempotency key")


def _adoptable(child: Spawned) -> TriggerRequest:
    """Whatever the client says, the parent is the durable task."""
    task = child.parent.task
    return child.request._replace(parent_task_id=task.id, parent_run_id=task.run_id)


def _resolve(tenant_id: UUID, names: set[str]) -> Operation[Mapping[str, RegisteredVersion]]:
    """Return the latest versions of those workflows there are."""
    rows = yield from fetch(workflows.resolve(tenant_id, sorted(names)))
    version_of = {row.name: row.version_id for row in rows if row.version_id}
    versions = yield from load_versions(version_of.values())
    return {name: versions[version_id] for name, version_id in version_of.items()}


def _plan(
    child: Spawned, request: TriggerRequest, versions: Mapping[str, RegisteredVersion]
) -> PlannedRun | None:
    version = versions.get(request.workflow_name)
    if version is None:
        child.fail(f"workflow names not found: {request.workflow_name}")
        return None
    try:
        planned = plan_new_run(request, version, _BY_DURABLE_TASK, run_id=child.run_id)
    except HatchetError as error:
        child.fail(str(error))
        return None
    if planned.problem is not None:
        child.fail(planned.problem)
        return None
    return planned
