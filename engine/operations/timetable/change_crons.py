"""Makes, switches and deletes the crons that clients manage."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from engine.domain.cron.expression import parse_cron
from engine.domain.cron.firing import first_due
from engine.errors import InvalidArgument, NotFound
from engine.ids import new_id
from engine.operations.parts.count_usage import hold
from engine.operations.parts.plan_runs import resolve_names
from engine.states import MissedPolicy
from engine.store import crons
from engine.store.changes import Changes
from engine.store.crons import NewCron
from engine.store.query import Operation, fetch
from engine.types import TriggerRequest
from tenants.resources import Resource

UNKNOWN = "there is no such cron"


def create_cron(
    tenant_id: UUID,
    *,
    name: str,
    expression: str,
    request: TriggerRequest,
    now: datetime,
    missed: MissedPolicy = MissedPolicy.SKIP,
) -> Operation[UUID]:
    """Let `request` be triggered by a cron; return the cron's id.

    InvalidArgument: a wrong expression, an unknown workflow, or a cron of that name and expression.
    """
    cron = parse_cron(expression, "cronExpression", now)
    versions = yield from resolve_names(tenant_id, [request.workflow_name])
    metadata = request.additional_metadata
    new = NewCron(
        id=new_id(),
        tenant_id=tenant_id,
        workflow_id=versions[request.workflow_name].workflow_id,
        name=name,
        expression=expression.strip(),
        input=request.input,
        metadata=metadata.decode() if metadata else None,
        priority=request.priority,
        due_at=cron.next_after(now),
        missed=missed,
    )
    made = yield from fetch(crons.insert(new, now))
    if not made:
        raise InvalidArgument(
            f'workflow {request.workflow_name} has a cron "{name}" with that expression already'
        )
    yield from hold(tenant_id, Resource.CRON, 1, now)
    yield _changed(tenant_id)
    return made[0]


def switch_cron(
    tenant_id: UUID, cron_id: UUID, *, is_enabled: bool, now: datetime
) -> Operation[None]:
    """Enable or disable a cron; what it missed while disabled is not made up."""
    rows = yield from fetch(crons.by_id(tenant_id, cron_id))
    if not rows:
        raise NotFound(UNKNOWN)
    due_at = None
    if is_enabled:
        cron = parse_cron(rows[0].expression, "cron", rows[0].created_at)
        due_at = first_due(cron, now, rows[0].fired_at)
    yield from fetch(crons.set_enabled(cron_id, is_enabled=is_enabled, due_at=due_at, now=now))
    yield _changed(tenant_id)


def choose_missed(
    tenant_id: UUID, cron_id: UUID, missed: MissedPolicy, now: datetime
) -> Operation[None]:
    """Say what a cron does about the times it misses from now on."""
    if not (yield from fetch(crons.set_missed(tenant_id, cron_id, missed, now))):
        raise NotFound(UNKNOWN)
    yield _changed(tenant_id)


def delete_cron(tenant_id: UUID, cron_id: UUID) -> Operation[None]:
    if not (yield from fetch(crons.delete(tenant_id, cron_id))):
        raise NotFound(UNKNOWN)
    yield _changed(tenant_id)


def _changed(tenant_id: UUID) -> Changes:
    return Changes(timetables={tenant_id}, pages={(tenant_id, "crons")})
