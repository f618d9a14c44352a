"""Reads what a scheduler must know from the rows: after a take-over, and when its queue heads run low."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import orjson

from engine.domain.assignment import ReadyTask, RunClaims, SharedStrategy
from engine.domain.concurrency import run_claims_of
from engine.domain.definition import RegisteredVersion
from engine.domain.scheduler.machine import TenantScheduler
from engine.operations.parts.versions import (
    load_versions,
    ready_as_it_stands,
    ready_task,
    step_of,
)
from engine.states import ConcurrencyStrategy
from engine.store import (
    pauses,
    queues,
    rate_limits,
    run_slots,
    shared_strategies,
    tasks,
    workers,
)
from engine.store.query import Operation, fetch, fetch_all
from engine.store.queues import QueuedRow, QueuePlace
from engine.store.rate_limits import RateLimitRow
from engine.store.workers import WorkerRow

Knows = Callable[[UUID, int, bool], bool]


class RunningTask(NamedTuple):
    task: ReadyTask
    worker_id: UUID
    holds_slot: bool
    was_started: bool
    batch_id: UUID | None


class Rules(NamedTuple):
    """What users and registrations decide, whatever waits and runs."""

    paused: frozenset[UUID]
    """Workflows none of whose tasks may be handed out."""
    shared: Mapping[str, SharedStrategy]
    """Concurrency strategies of the whole tenant, by name."""


class Snapshot(NamedTuple):
    workers: list[WorkerRow]
    running: list[RunningTask]
    queued_actions: list[str]
    rules: Rules
    evicted: list[ReadyTask]
    runs_in_groups: list[RunClaims]
    limits: list[RateLimitRow]


def load_snapshot(
    tenant_id: UUID, heard_since: datetime, reports_until: datetime
) -> Operation[Snapshot]:
    """Return a tenant's workers, what runs on them, and the actions with waiting tasks.

    Nobody could take the reports of what runs for a while: none of it times out before `reports_until`.
    """
    known = yield from fetch(workers.of_tenant(tenant_id, heard_since))
    worker_ids = [worker.id for worker in known]
    yield from fetch(tasks.grant_time(tenant_id, worker_ids, reports_until))
    return (yield from read_snapshot(tenant_id, known))


def read_snapshot(tenant_id: UUID, known: list[WorkerRow]) -> Operation[Snapshot]:
    """Return what there is of a tenant besides these, its workers; change nothing."""
    rows = yield from fetch(tasks.running(tenant_id, [worker.id for worker in known]))
    versions = yield from load_versions(row.version_id for row in rows)
    running = [
        RunningTask(
            ready_task(
                versions[row.version_id],
                row.id,
                row.step_id,
                retry_count=row.retry_count,
                priority=row.queue_priority,
                desired_worker_id=None,
                desired_labels=None,
                concurrency_keys=row.concurrency_keys,
            ),
            row.worker_id,
            not row.is_slot_released,
            row.was_started,
            row.batch_id if _is_batched(versions[row.version_id], row.step_id) else None,
        )
        for row in rows
    ]
    queued, limits = yield from fetch_all(
        queues.queued_actions(tenant_id), rate_limits.of_tenant(tenant_id)
    )
    rules = yield from load_rules(tenant_id)
    evicted = yield from _waiting((yield from fetch(queues.evicted_in_groups(tenant_id))))
    runs = yield from _runs(tenant_id)
    return Snapshot(known, running, queued, rules, evicted, runs, limits)


def restore(
    machine: TenantScheduler, snapshot: Snapshot, upsert: Callable[[WorkerRow], None]
) -> None:
    """Fill a scheduler's memory, but for those who wait; `upsert` takes the workers' rows."""
    machine.groups.share(snapshot.rules.shared)
    for limit in snapshot.limits:
        machine.limits.set(limit.key, limit.state())
    for row in snapshot.workers:
        upsert(row)
    for run in snapshot.runs_in_groups:
        machine.groups.hold_run(run)
    for running in snapshot.running:
        machine.adopt_running(
            running.task,
            running.worker_id,
            holds_slot=running.holds_slot,
            batch_id=running.batch_id,
        )
    for task in snapshot.evicted:
        machine.keep_groups(task)
    for action_id in snapshot.queued_actions:
        machine.queues.mark_has_more(action_id)


def upsert_worker(machine: TenantScheduler, row: WorkerRow, last_heartbeat: float | None) -> None:
    """Take a worker's row as it stands."""
    machine.workers.upsert(
        row.id,
        actions=frozenset(row.actions),
        slots=orjson.loads(row.slots),
        is_active=row.is_active,
        is_paused=row.is_paused,
        last_heartbeat=last_heartbeat,
        is_stalled=row.is_stalled,
    )
    machine.workers.set_labels(row.id, orjson.loads(row.labels))


def load_rules(tenant_id: UUID) -> Operation[Rules]:
    """Return which workflows are paused, and the strategies that the tenant's workflows share."""
    paused, shared = yield from fetch_all(
        pauses.of_tenant(tenant_id), shared_strategies.of_tenant(tenant_id)
    )
    strategies = {
        row.name: SharedStrategy(row.max_runs, ConcurrencyStrategy(row.strategy), row.is_computed)
        for row in shared
    }
    return Rules(frozenset(paused), strategies)


def _runs(tenant_id: UUID) -> Operation[list[RunClaims]]:
    """Return the runs that hold slots of concurrency groups, whatever their tasks do now."""
    held = yield from fetch(run_slots.held(tenant_id))
    versions = yield from load_versions(row.version_id for row in held)
    return [run_claims_of(versions[row.version_id], row.keys) for row in held]


def _is_batched(version: RegisteredVersion, step_id: UUID) -> bool:
    return step_of(version, step_id).definition.batch is not None


def load_queue_head(tenant_id: UUID, action_id: str, limit: int) -> Operation[list[ReadyTask]]:
    """Return the first waiting attempts of an action, by priority and age."""
    return (yield from _waiting((yield from fetch(queues.queue_head(tenant_id, action_id, limit)))))


def load_in_groups(
    tenant_id: UUID, after: QueuePlace, limit: int
) -> Operation[tuple[list[ReadyTask], QueuePlace | None]]:
    """Return attempts that need slots of concurrency groups now, or when they have rested.

    And after whom to go on, if at all.
    """
    found = yield from fetch(queues.queued_in_groups(tenant_id, after, limit))
    waiting = yield from _waiting([row for row, _ in found])
    return waiting, found[-1][1] if len(found) == limit else None


def load_unknown_in_groups(
    knows: Knows, tenant_id: UUID, after: QueuePlace, limit: int
) -> Operation[tuple[list[ReadyTask], QueuePlace | None]]:
    """The same, without the attempts that somebody `knows` by task, retry count, and whether it rests."""
    found = yield from fetch(queues.places_in_groups(tenant_id, after, limit))
    unknown = [row.id for row in found if not knows(row.id, row.retry_count, row.is_delayed)]
    waiting = (yield from load_queued(tenant_id, unknown)) if unknown else []
    return waiting, QueuePlace(found[-1].queued_at, found[-1].id) if len(found) == limit else None


def load_queued(tenant_id: UUID, ids: Sequence[UUID]) -> Operation[list[ReadyTask]]:
    """Return those of these tasks that wait in the queue, or rest before they ask their groups again."""
    return (yield from _waiting((yield from fetch(queues.queued_by_ids(tenant_id, ids)))))


def load_workers(tenant_id: UUID, ids: Sequence[UUID]) -> Operation[list[WorkerRow]]:
    return (yield from fetch(workers.by_ids(tenant_id, ids)))


def _waiting(rows: Sequence[QueuedRow]) -> Operation[list[ReadyTask]]:
    versions = yield from load_versions(row.version_id for row in rows)
    return [
        ready_as_it_stands(row, versions[row.version_id])._replace(is_resting=row.is_delayed)
        for row in rows
    ]
