"""Takes durable tasks that only wait off their workers, and puts them back into the queue."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import NamedTuple
from uuid import UUID

from engine.domain.durable.calls import Node
from engine.operations.durable.locked_logs import (
    Logs,
    OpenLog,
    at,
    load_entries,
    lock_logs,
    restore,
    write_logs,
)
from engine.store import durable_entries, durable_tasks
from engine.store.changes import Changes
from engine.store.durable_tasks import Evict
from engine.store.query import Operation, fetch

DEFAULT_REASON = "Task paused and evicted from worker"
_LONGEST_REASON = 1_000


class Eviction(NamedTuple):
    """A worker's request to drop an invocation.

    `unconfirmed` are the nodes the invocation may still be waiting for, as far as is known: waits and
    awaited children whose completions have not surely arrived. None if nothing is known.
    """

    tenant_id: UUID
    task_id: UUID
    invocation: int
    reason: str = ""
    unconfirmed: tuple[Node, ...] | None = None


class Evicted(Enum):
    """What came of an eviction. RESTORED was evicted and queued again at once: it can go on."""

    EVICTED = "evicted"
    RESTORED = "restored"
    NOTHING = "nothing"
    UNKNOWN = "unknown"


def evict_tasks(evictions: Sequence[Eviction], now: datetime) -> Operation[list[Evicted]]:
    """Free the worker slots of these invocations; stale ones have no effect.

    What was completed while the worker asked is seen here, under the lock that completing takes too.
    """
    logs = yield from lock_logs(item.task_id for item in evictions)
    wanted: dict[UUID, Eviction] = {}
    for item in evictions:
        found = logs.get(item.task_id)
        if found and found.task.tenant_id == item.tenant_id and found.serves(item.invocation):
            wanted.setdefault(item.task_id, item)
    evicted: set[UUID] = set()
    awake: set[UUID] = set()
    if wanted:
        rows = yield from fetch(
            durable_tasks.evict([_row(logs[key], wanted[key]) for key in sorted(wanted)], now)
        )
        evicted = {row.id for row in rows}
        yield Changes(
            evicted=[(row.tenant_id, row.id, row.retry_count) for row in rows],
            touched={(row.tenant_id, row.run_id) for row in rows},
        )
        awake = yield from _awake([wanted[key] for key in sorted(evicted)], logs)
        for task_id in evicted:
            logs[task_id].log.state.end_invocation(is_restored=task_id in awake)
        yield from write_logs({task_id: logs[task_id] for task_id in sorted(evicted)}, now)
        asleep = [_as_evicted(logs[key]) for key in sorted(awake)]
        yield from restore(asleep, "what it waited for had just come", now)
    return [_outcome(item, logs, evicted=evicted, awake=awake) for item in evictions]


def _row(found: OpenLog, item: Eviction) -> Evict:
    reason = item.reason.replace("\0", "")[:_LONGEST_REASON] or DEFAULT_REASON
    return Evict(item.task_id, found.task.retry_count, reason)


def _awake(evictions: Sequence[Eviction], logs: Logs) -> Operation[set[UUID]]:
    """Return which of these tasks may have missed a completion."""
    known = [item for item in evictions if item.unconfirmed is not None]
    yield from load_entries(
        logs, at((item.task_id, node) for item in known for node in item.unconfirmed or ())
    )
    awake = {
        item.task_id
        for item in known
        if any(
            (entry := logs[item.task_id].log.entries.get(node)) and entry.is_satisfied
            for node in item.unconfirmed or ()
        )
    }
    guessed = [
        (item.task_id, assigned_at)
        for item in evictions
        if item.unconfirmed is None and (assigned_at := logs[item.task_id].task.assigned_at)
    ]
    if guessed:
        awake |= set((yield from fetch(durable_entries.satisfied_since(guessed))))
    return awake


def _as_evicted(found: OpenLog) -> OpenLog:
    return OpenLog(found.log, found.task._replace(is_evicted=True), found.before)


def _outcome(item: Eviction, logs: Logs, *, evicted: set[UUID], awake: set[UUID]) -> Evicted:
    found = logs.get(item.task_id)
    if found is None or found.task.tenant_id != item.tenant_id:
        return Evicted.UNKNOWN
    if item.task_id in awake:
        return Evicted.RESTORED
    return Evicted.EVICTED if item.task_id in evicted else Evicted.NOTHING


def restore_tasks(
    tenant_id: UUID, task_ids: Sequence[UUID], now: datetime, *, cause: str = "restored by request"
) -> Operation[list[UUID]]:
    """Queue these durable tasks if they are evicted; return the ids of those the tenant has."""
    logs = yield from lock_logs(task_ids)
    known = [key for key in logs if logs[key].task.tenant_id == tenant_id]
    yield from restore([logs[key] for key in known], cause, now)
    return known
