"""Starts the runs of crons whose time has come: once per nominal time, whoever tries."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import orjson

from engine.domain.cron import Timing, parse_cron
from engine.errors import InvalidArgument, NotFound
from engine.operations.changes import Changes
from engine.operations.plan_runs import PlannedRun, Trigger, plan_new_run
from engine.operations.trigger_runs import collision_of, insert_runs, refuse_problems
from engine.operations.versions import load_versions
from engine.states import RunTrigger
from engine.store import crons
from engine.store.crons import Advance, CronRow
from engine.store.query import Operation, fetch
from engine.types import TriggerRequest

BATCH = 100


class Fired(NamedTuple):
    """How many crons were looked at, and what came of it."""

    looked_at: int
    changes: Changes


def fire_crons(now: datetime, not_before: datetime) -> Operation[Fired]:
    """Fire each due cron for its one due nominal time and set the next one.

    Times before `not_before` were missed and are not made up. The rows stay locked until the runs
    are committed with the new due times, and `fired_at` only grows, so no time fires twice.
    """
    rows = yield from fetch(crons.due(now, BATCH))
    if not rows:
        return Fired(0, Changes())
    advances, firing = [], []
    for row in rows:
        step = _advance(row, not_before)
        advances.append(step)
        if step.fired_at is not None and not row.is_dropped:
            firing.append(row)
    yield from fetch(crons.advance(sorted(advances)))
    if not firing:
        return Fired(len(rows), Changes())
    versions = yield from load_versions(row.version_id for row in firing)
    planned = [
        plan_new_run(_request(row, row.due_at), versions[row.version_id], _BY_CRON)
        for row in firing
    ]
    return Fired(len(rows), (yield from insert_runs(planned, now, is_last=True)))


_BY_CRON = Trigger(kind=RunTrigger.CRON)


def _advance(row: CronRow, not_before: datetime) -> Advance:
    """Return the next due time, and the nominal time to fire for now unless it was missed."""
    assert row.due_at is not None, "only due crons are asked for"
    try:
        cron = parse_cron(row.expression, "cron", row.created_at)
    except InvalidArgument:
        # It was accepted once; a zone may have been abolished since.
        return Advance(row.id, None, None)
    latest = max(row.due_at, row.fired_at or row.due_at)
    if row.due_at < not_before:
        return Advance(row.id, first_due(cron, not_before, row.fired_at), None)
    is_new = row.fired_at is None or row.due_at > row.fired_at
    return Advance(row.id, cron.next_after(latest), row.due_at if is_new else None)


def first_due(cron: Timing, since: datetime, fired_at: datetime | None = None) -> datetime | None:
    """Return the first nominal time from `since` on, that instant included, which did not fire yet."""
    just_before = since - timedelta(microseconds=1)
    return cron.next_after(max(just_before, fired_at or just_before))


def _request(row: CronRow, nominal: datetime | None) -> TriggerRequest:
    metadata = orjson.loads(row.additional_metadata) if row.additional_metadata else {}
    metadata |= {"hatchet__cron_expression": row.expression, "hatchet__cron_name": row.name}
    if nominal is not None:
        metadata["hatchet__cron_scheduled_at"] = nominal.isoformat().replace("+00:00", "Z")
    return TriggerRequest(
        workflow_name=row.workflow_name,
        input=bytes(row.input),
        additional_metadata=orjson.dumps(metadata),
        priority=row.priority,
    )


def run_cron_now(tenant_id: UUID, cron_id: UUID, now: datetime) -> Operation[tuple[UUID, Changes]]:
    """Start one run of a cron beside its times; return the run's id. NotFound: there is no such cron."""
    rows = yield from fetch(crons.by_id(tenant_id, cron_id))
    if not rows:
        raise NotFound("there is no such cron")
    versions = yield from load_versions([rows[0].version_id])
    version = versions[rows[0].version_id]
    planned: PlannedRun = plan_new_run(_request(rows[0], None), version, _BY_CRON)
    refuse_problems([planned])
    changes = yield from insert_runs([planned], now)
    if changes.collisions:
        raise collision_of([planned], changes.collisions)
    return planned.run.id, changes
