"""Starts the runs of one-time schedules whose time has come, each once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from engine.errors import InvalidArgument, NotFound
from engine.operations.parts.adopt_children import adopt_children
from engine.operations.parts.claim_keys import claim_children
from engine.operations.parts.plan_runs import PlannedRun, Trigger, plan_new_run
from engine.operations.parts.versions import load_versions
from engine.operations.timetable.fire_crons import BATCH
from engine.operations.trigger_runs import collision_of, insert_runs, refuse_problems
from engine.states import RunTrigger
from engine.store import schedules
from engine.store.changes import Changes, TimedFiring
from engine.store.query import Operation, fetch, repeatable
from engine.store.schedules import ScheduleRow
from engine.types import TriggerRequest

ALREADY_FIRED = "Scheduled run has already been triggered and cannot be rescheduled."
UNKNOWN = "there is no such scheduled run"

_BY_SCHEDULE = Trigger(kind=RunTrigger.SCHEDULE)


@repeatable
def fire_schedules(
    now: datetime,
    ids: Sequence[UUID] | None = None,
    *,
    only: UUID | None = None,
    but: Collection[UUID] = (),
) -> Operation[int]:
    """Fire what is due, or of it these `ids`, however late: what was missed runs as soon as it can.

    `only` and `but` choose tenants. Return how many were looked at.
    """
    due = schedules.due(now, BATCH, only=only, but=but)
    rows = yield from fetch(due if ids is None else schedules.due_of(ids, now))
    if not rows:
        return 0
    planned = yield from _plan(rows)
    yield from _fire(rows, planned, now)
    fired = [
        TimedFiring(row.tenant_id, row.id, row.due_at or now)
        for row, item in zip(rows, planned, strict=True)
        if not item.problem
    ]
    yield Changes(schedules_fired=fired)
    return len(rows)


@repeatable
def run_schedule_now(tenant_id: UUID, schedule_id: UUID, now: datetime) -> Operation[UUID]:
    """Fire a schedule before its time; return its run. InvalidArgument: it has fired already."""
    rows = yield from fetch(schedules.by_id(tenant_id, schedule_id))
    if not rows:
        raise NotFound(UNKNOWN)
    if rows[0].due_at is None:
        raise InvalidArgument(ALREADY_FIRED)
    planned = yield from _plan(rows)
    refuse_problems(planned)
    run_ids, collisions = yield from _fire(rows, planned, now)
    if collisions:
        raise collision_of(planned, collisions)
    return run_ids[0]


def _plan(rows: Sequence[ScheduleRow]) -> Operation[list[PlannedRun]]:
    versions = yield from load_versions(row.version_id for row in rows)
    planned = []
    for row in rows:
        request = yield from _request(row)
        planned.append(plan_new_run(request, versions[row.version_id], _BY_SCHEDULE))
    return planned


def _fire(
    rows: Sequence[ScheduleRow], planned: Sequence[PlannedRun], now: datetime
) -> Operation[tuple[list[UUID], Mapping[UUID, UUID]]]:
    """Return the runs, and who holds the keys of those that collided.

    The rows are locked: settled in the transaction that starts their runs, none fires twice.

    A schedule whose run's key is held names the holder; one whose key has a problem names no run.
    """
    run_ids = yield from claim_children([item.run for item in planned])
    new = [item for item, run_id in zip(planned, run_ids, strict=True) if item.run.id == run_id]
    collisions = (yield from insert_runs(new, now)) if new else {}
    fired = [
        (row.id, None, item.problem)
        if item.problem
        else (row.id, collisions.get(run_id, run_id), None)
        for row, item, run_id in zip(rows, planned, run_ids, strict=True)
    ]
    yield from fetch(schedules.settle(fired, now))
    return run_ids, collisions


def set_schedule_aside(schedule_id: UUID, cause: str, now: datetime) -> Operation[None]:
    """Give up a schedule whose run cannot be started, and write down why."""
    yield from fetch(schedules.fail(schedule_id, cause, now))


def _request(row: ScheduleRow) -> Operation[TriggerRequest]:
    metadata = row.additional_metadata
    request = TriggerRequest(
        workflow_name=row.workflow_name,
        input=bytes(row.input),
        additional_metadata=metadata.encode() if metadata else None,
        priority=row.priority,
        parent_run_id=row.parent_run_id,
        parent_task_id=row.parent_task_id,
        child_index=row.child_index,
        child_key=row.child_key,
    )
    if row.parent_task_id is None:
        return request
    try:
        adopted = yield from adopt_children(row.tenant_id, [request])
    except InvalidArgument:
        # The parent has been removed with its day; the run is still wanted.
        return TriggerRequest(
            workflow_name=request.workflow_name,
            input=request.input,
            additional_metadata=request.additional_metadata,
            priority=request.priority,
        )
    return adopted[0]
