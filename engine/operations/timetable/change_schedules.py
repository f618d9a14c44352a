"""Makes, moves and deletes one-time schedules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.errors import NotFound
from engine.ids import new_id
from engine.operations.parts.adopt_children import adopt_children
from engine.operations.parts.count_usage import hold
from engine.operations.timetable.fire_schedules import ALREADY_FIRED, UNKNOWN
from engine.store import schedules, workflows
from engine.store.changes import Changes
from engine.store.query import Operation, fetch
from engine.types import ScheduledRuns, TriggerRequest
from tenants.resources import Resource


class Outcome(NamedTuple):
    """What became of many schedules: those that changed, and why the others did not."""

    changed: list[UUID]
    refused: list[tuple[UUID, str]]


def schedule_runs(
    tenant_id: UUID, request: TriggerRequest, times: Sequence[datetime], now: datetime
) -> Operation[ScheduledRuns]:
    """Let `request` be triggered once at each of these times; what is past is due at once.

    NotFound: the workflow is unknown. InvalidArgument: the parent task is.
    """
    found = yield from fetch(workflows.latest(tenant_id, request.workflow_name))
    if not found or found[0].version_id is None:
        raise NotFound(f"workflow {request.workflow_name} not found")
    yield from adopt_children(tenant_id, [request])
    made = [(new_id(), trigger_at) for trigger_at in times]
    yield from fetch(schedules.insert(tenant_id, found[0].workflow_id, request, made, now))
    yield from hold(tenant_id, Resource.SCHEDULE, len(made), now)
    yield _changed(tenant_id)
    return ScheduledRuns(
        workflow_id=found[0].workflow_id,
        version_id=found[0].version_id,
        version_order=found[0].order or 0,
        schedules=tuple(made),
    )


def move_schedules(
    tenant_id: UUID, times: Sequence[tuple[UUID, datetime]], now: datetime
) -> Operation[Outcome]:
    """Give schedules that have not fired another time."""
    # Of two times for one schedule the last counts.
    wanted = sorted(dict(times).items())
    moved = yield from fetch(schedules.move(tenant_id, wanted, now))
    return (yield from _outcome(tenant_id, [schedule_id for schedule_id, _ in times], moved))


def delete_schedules(tenant_id: UUID, ids: Sequence[UUID]) -> Operation[Outcome]:
    """Delete schedules that have not fired; the others stay visible with their runs."""
    deleted = yield from fetch(schedules.delete(tenant_id, ids))
    return (yield from _outcome(tenant_id, ids, deleted))


def _outcome(
    tenant_id: UUID, wanted: Sequence[UUID], changed: Sequence[UUID]
) -> Operation[Outcome]:
    left = set(wanted) - set(changed)
    known: set[UUID] = set()
    if left:
        known = set((yield from fetch(schedules.existing(tenant_id, sorted(left)))))
    if changed:
        yield _changed(tenant_id)
    unique = dict.fromkeys(wanted)
    return Outcome(
        [schedule_id for schedule_id in unique if schedule_id not in left],
        [(i, ALREADY_FIRED if i in known else UNKNOWN) for i in unique if i in left],
    )


def _changed(tenant_id: UUID) -> Changes:
    return Changes(timetables={tenant_id}, pages={(tenant_id, "schedules")})
