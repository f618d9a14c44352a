"""Pauses and resumes workflows: while one is paused, its queued tasks are held and nothing of it starts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.errors import NotFound
from engine.operations.parts.versions import load_versions, ready_as_it_stands, step_of
from engine.states import TaskEventKind
from engine.store import pauses, task_events, tasks
from engine.store.changes import Changes
from engine.store.pauses import HeldRow
from engine.store.query import Operation, fetch, fetch_all
from engine.store.task_events import NewTaskEvent

UNKNOWN = "there is no such workflow"


class Pause(NamedTuple):
    """What a pause does to crons and schedules (QUEUE or DROP), and how long it holds a task."""

    cron: str
    scheduled: str
    ttl_seconds: float


def pause_workflow(
    tenant_id: UUID, workflow_id: UUID, pause: Pause, now: datetime
) -> Operation[None]:
    """Hold what is queued and what comes; what runs goes on. Pausing again replaces the settings."""
    set_ = pauses.pause(
        tenant_id,
        workflow_id,
        cron=pause.cron,
        scheduled=pause.scheduled,
        ttl=pause.ttl_seconds,
        now=now,
    )
    if not (yield from fetch(set_)):
        raise NotFound(UNKNOWN)
    before = yield from fetch(pauses.held(tenant_id, workflow_id))
    rows = yield from fetch(pauses.hold([tenant_id]))
    if before:
        yield from fetch(pauses.move_ends(before, pause.ttl_seconds))
    yield _new_rules(tenant_id)
    yield _withdrawn(rows)


def unpause_workflow(tenant_id: UUID, workflow_id: UUID, now: datetime) -> Operation[None]:
    """Put what was held into the queue, with a whole schedule timeout."""
    if not (yield from fetch(pauses.clear(tenant_id, workflow_id, now))):
        raise NotFound(UNKNOWN)
    ids = yield from fetch(pauses.held(tenant_id, workflow_id))
    rows = [row for row in (yield from fetch(tasks.lock(ids))) if row.is_held] if ids else []
    yield _new_rules(tenant_id)
    if rows:
        versions = yield from load_versions(row.version_id for row in rows)
        changes, timeouts = Changes(), []
        for row in rows:
            version = versions[row.version_id]
            step = step_of(version, row.step_id).definition
            timeouts.append((row.id, step.schedule_timeout_seconds))
            ready = ready_as_it_stands(row, version)
            changes.ready.append((tenant_id, ready))
            changes.touched.add((tenant_id, row.run_id))
        queued = [
            NewTaskEvent(row.run_id, row.id, row.retry_count, TaskEventKind.QUEUED) for row in rows
        ]
        yield from fetch_all(tasks.undelay(timeouts, now), task_events.insert(queued, now))
        yield changes


def _new_rules(tenant_id: UUID) -> Changes:
    return Changes(
        rules={tenant_id},
        backlogs={tenant_id},
        timetables={tenant_id},
        pages={(tenant_id, "workflows"), (tenant_id, "runs")},
    )


def _withdrawn(rows: Sequence[HeldRow]) -> Changes:
    return Changes(withdrawn=[(row.tenant_id, row.id, row.retry_count) for row in rows])


def hold_tasks(tenant_ids: Sequence[UUID]) -> Operation[None]:
    """Hold what came into the queues of paused workflows since they were paused."""
    if rows := (yield from fetch(pauses.hold(tenant_ids))):
        yield _withdrawn(rows)
