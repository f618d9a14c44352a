"""Starts the runs of crons whose time has come: once per nominal time, whoever tries."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from engine.domain.cron.expression import parse_cron
from engine.domain.cron.firing import DueCron, Firing, Missed, fire, missed_between
from engine.errors import InvalidArgument, NotFound
from engine.operations.parts.plan_runs import PlannedRun, Trigger, plan_new_run
from engine.operations.parts.versions import load_versions
from engine.operations.trigger_runs import collision_of, insert_runs, refuse_problems
from engine.states import CronMissCause, MissedPolicy, RunTrigger
from engine.store import crons
from engine.store.changes import Changes, TimedFiring
from engine.store.crons import Advance, CronRow, DueRow
from engine.store.query import Operation, fetch, fetch_all, repeatable
from engine.types import TriggerRequest
from tenants.json_text import with_texts

BATCH = 100


@repeatable
def fire_crons(
    now: datetime,
    running_since: datetime,
    ids: Sequence[UUID] | None = None,
    *,
    only: UUID | None = None,
    but: Collection[UUID] = (),
) -> Operation[int]:
    """Fire each due cron, or those of these `ids`, for its due time and set the next one.

    No engine was running before `running_since`: what was due then, and what is too late for another
    reason, is written down as missed, and made up if the cron asks for it. The rows stay locked until
    the runs are committed with the new due times, and `fired_at` only grows, so no time fires twice.
    `only` and `but` choose tenants. Return how many were looked at.
    """
    due = crons.due(now, BATCH, only=only, but=but) if ids is None else crons.due_of(ids, now)
    rows = yield from fetch(due)
    if not rows:
        return 0
    advances, firing, missed = [], [], []
    for row in rows:
        step = _decide(row, now, running_since)
        advances.append(Advance(row.id, step.due_at, step.fires_for))
        if step.fires_for is not None:
            firing.append((row, step.fires_for))
        if step.missed is not None:
            missed.append((row.id, step.missed))
    yield from fetch(crons.advance(sorted(advances)))
    if missed:
        yield from fetch(crons.record_misses(missed, now))
        yield Changes(crons_missed=missed)
    if not firing:
        return len(rows)
    versions = yield from load_versions(row.version_id for row, _ in firing)
    planned = [
        plan_new_run(_request(row, nominal), versions[row.version_id], _BY_CRON)
        for row, nominal in firing
    ]
    yield Changes(
        crons_fired=[TimedFiring(row.tenant_id, row.id, nominal) for row, nominal in firing]
    )
    yield from insert_runs(planned, now, is_last=True)
    return len(rows)


_BY_CRON = Trigger(kind=RunTrigger.CRON)


def _decide(row: CronRow, now: datetime, running_since: datetime) -> Firing:
    assert row.due_at is not None, "only due crons are asked for"
    try:
        times = parse_cron(row.expression, "cron", row.created_at)
    except InvalidArgument as error:
        return _ended(row.due_at, error)
    cron = DueCron(times, row.due_at, row.fired_at, MissedPolicy(row.missed))
    return fire(cron, now, running_since, is_paused=row.is_dropped)


def _ended(due_at: datetime, error: InvalidArgument) -> Firing:
    """The expression was accepted once; its zone may have been abolished since."""
    return Firing(None, None, Missed(CronMissCause.FAILED, 1, due_at, due_at, str(error)))


def set_cron_aside(cron_id: UUID, cause: str, now: datetime) -> Operation[None]:
    """Pass over the times for which a cron cannot fire, and write down why."""
    for row in (yield from fetch(crons.lock_due(cron_id, now))):
        step = _pass_over(row, cause, now)
        yield from fetch_all(
            crons.advance([Advance(cron_id, step.due_at, None)]),
            *([crons.record_misses([(cron_id, step.missed)], now)] if step.missed else []),
        )
        if step.missed:
            yield Changes(crons_missed=[(cron_id, step.missed)])


def _pass_over(row: DueRow, cause: str, now: datetime) -> Firing:
    try:
        times = parse_cron(row.expression, "cron", row.created_at)
    except InvalidArgument as error:
        return _ended(row.due_at, error)
    cron = DueCron(times, row.due_at, None, MissedPolicy.SKIP)
    until = now + timedelta(microseconds=1)
    missed = missed_between(cron, until, CronMissCause.FAILED, cause)
    return Firing(None, times.next_after(now), missed)


def _request(row: CronRow, nominal: datetime | None) -> TriggerRequest:
    if not (row.additional_metadata or "{").startswith("{"):
        raise InvalidArgument("the cron's metadata is not a JSON object")
    marks = {"hatchet__cron_expression": row.expression, "hatchet__cron_name": row.name}
    if nominal is not None:
        marks["hatchet__cron_scheduled_at"] = nominal.isoformat().replace("+00:00", "Z")
    return TriggerRequest(
        workflow_name=row.workflow_name,
        input=bytes(row.input),
        additional_metadata=with_texts(row.additional_metadata, marks),
        priority=row.priority,
    )


@repeatable
def run_cron_now(tenant_id: UUID, cron_id: UUID, now: datetime) -> Operation[UUID]:
    """Start one run of a cron beside its times; return the run's id. NotFound: there is no such cron."""
    rows = yield from fetch(crons.by_id(tenant_id, cron_id))
    if not rows:
        raise NotFound("there is no such cron")
    versions = yield from load_versions([rows[0].version_id])
    version = versions[rows[0].version_id]
    planned: PlannedRun = plan_new_run(_request(rows[0], None), version, _BY_CRON)
    refuse_problems([planned])
    if collisions := (yield from insert_runs([planned], now)):
        raise collision_of([planned], collisions)
    return planned.run.id
