"""Copies of tenants' schedulers, for those who explain why tasks wait.

The scheduler itself is in the memory of another process. A copy is filled from the same rows that a new
owner of the tenant would read; as they may be many, everybody in this process shares it for a while.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from engine.domain.assignment import ReadyTask, Reason, score_of
from engine.domain.scheduler.machine import TenantScheduler
from engine.operations.parts.versions import workflow_of
from engine.operations.rebuild_scheduler import (
    load_in_groups,
    load_queue_head,
    read_snapshot,
    restore,
    upsert_worker,
)
from engine.store import workers
from engine.store.query import Operation, fetch
from engine.store.queues import FIRST_PLACE, QueuePlace
from engine.store.workers import WorkerRow

FRESH_FOR = timedelta(seconds=5)
QUEUE_HEAD = 1000
MOST_KEPT = 20_000
"""How many tasks with groups or rate limits are read: those who wait longest, which go before others."""
MOST_TASKS = 60_000
"""How many tasks are in the copies of all tenants before the one that was used least lately goes."""
_KNOWN_WORKER_AGE = timedelta(minutes=1)


@dataclass(slots=True)
class SchedulerCopy:
    """One tenant's scheduler as it would be had it drained at `read_at`, by the rows of that time."""

    machine: TenantScheduler
    paused: frozenset[UUID]
    """Workflows none of whose tasks may be handed out."""
    read_at: datetime
    task_count: int = 0
    has_all_kept: bool = False
    """Whether nobody waits for groups or rate limits who is not in the copy."""
    actions: set[str] = field(default_factory=set)
    """Those the heads of whose queues were read."""
    next_ids: set[UUID] = field(default_factory=set)
    """Who runs in the copy, having waited when it was read."""
    not_found: set[tuple[UUID, int]] = field(default_factory=set)
    """Attempts for whose sake a copy was made, and which were not in it either."""
    worker_names: dict[UUID, str] = field(default_factory=dict)
    """Of workers that were asked for."""

    def is_fresh(self, now: datetime) -> bool:
        return abs(now - self.read_at) < FRESH_FOR

    def take(self, tasks: Iterable[ReadyTask]) -> None:
        """Let in those who may be handed out."""
        allowed = [task for task in tasks if workflow_of(task.version_id) not in self.paused]
        self.machine.enqueue(allowed)
        self.task_count += len(allowed)

    def drain(self) -> None:
        assignments = self.machine.drain(self.read_at.timestamp())
        self.next_ids.update(task.id for made in assignments for task in made.tasks)

    def lacks(self, task: ReadyTask) -> bool:
        """Whether a task that waits may have come after the rows were read: nothing can be said of it.

        One that is not here although it came before stands behind all that was read.
        """
        attempt = task.id, task.retry_count
        if self.machine.knows(*attempt) or attempt in self.not_found:
            return False
        if task.is_kept:
            return self.has_all_kept
        queue = self.machine.queues.get(task.action_id)
        return queue is None or score_of(task) >= queue.floor

    def reason(self, task: ReadyTask) -> Reason | None:
        """Return why a task waits; None if it is about to be handed out."""
        if task.id in self.next_ids:
            return None
        return self.machine.explain(task, self.read_at.timestamp())


class CopyPlace:
    """Where a tenant's copy is kept. Who holds the `lock` reads it, makes it and changes it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.copy: SchedulerCopy | None = None


class SchedulerCopies:
    """The copies of one process, in bounded memory. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: OrderedDict[UUID, CopyPlace] = OrderedDict()

    def place(self, tenant_id: UUID) -> CopyPlace:
        """Return the tenant's own place; what is in it is to be changed under the place's lock."""
        with self._lock:
            place = self._places.setdefault(tenant_id, CopyPlace())
            self._places.move_to_end(tenant_id)
            return place

    def trim(self, now: datetime) -> None:
        """Forget copies that are too old, and those used least lately if there are too many tasks in all."""
        with self._lock:
            for tenant_id, place in list(self._places.items()):
                copy = place.copy
                if not place.lock.locked() and (copy is None or not copy.is_fresh(now)):
                    del self._places[tenant_id]
            while len(self._places) > 1 and self._task_count() > MOST_TASKS:
                self._places.popitem(last=False)

    def count(self) -> int:
        return len(self._places)

    def _task_count(self) -> int:
        return sum(place.copy.task_count for place in self._places.values() if place.copy)


shared = SchedulerCopies()
"""This process's."""


def load_copy(tenant_id: UUID, now: datetime) -> Operation[SchedulerCopy]:
    """Return a copy that knows workers, what runs, and who waits for groups and rate limits."""
    known = yield from fetch(workers.of_tenant(tenant_id, now - _KNOWN_WORKER_AGE))
    snapshot = yield from read_snapshot(tenant_id, known)
    machine = TenantScheduler(queue_head_limit=QUEUE_HEAD)

    def upsert(row: WorkerRow) -> None:
        beat = row.last_heartbeat_at
        upsert_worker(machine, row, beat.timestamp() if beat else None)

    restore(machine, snapshot, upsert)
    machine.queues.wants_refill()  # begins to read all heads: nothing is hinted at from here on
    copy = SchedulerCopy(machine, snapshot.rules.paused, now, task_count=len(snapshot.running))
    place: QueuePlace | None = FIRST_PLACE
    count = 0
    while place is not None and count < MOST_KEPT:
        kept, place = yield from load_in_groups(tenant_id, place, QUEUE_HEAD)
        copy.take(kept)
        count += len(kept)
    copy.has_all_kept = place is None
    return copy


def load_heads(tenant_id: UUID, copy: SchedulerCopy, action_ids: Iterable[str]) -> Operation[None]:
    """Let a copy know who waits for these actions, as far as it does not."""
    for action_id in sorted(set(action_ids) - copy.actions):
        head = yield from load_queue_head(tenant_id, action_id, QUEUE_HEAD)
        copy.take(head)
        copy.machine.queues.mark_refilled(
            action_id, has_more=len(head) == QUEUE_HEAD, last=head[-1] if head else None
        )
        copy.actions.add(action_id)
    copy.drain()


def current_copy(
    tenant_id: UUID, tasks: Collection[ReadyTask], now: datetime, place: CopyPlace
) -> Operation[SchedulerCopy]:
    """Return a copy that can tell about these tasks: that in the place, or a new one which is put there."""
    action_ids = {task.action_id for task in tasks}
    known = place.copy if place.copy is not None and place.copy.is_fresh(now) else None
    if known is not None:
        yield from load_heads(tenant_id, known, action_ids)
        if not any(known.lacks(task) for task in tasks):
            return known
    copy = yield from load_copy(tenant_id, now)
    yield from load_heads(tenant_id, copy, action_ids)
    lacking = {(task.id, task.retry_count) for task in tasks if copy.lacks(task)}
    copy.not_found = lacking | (known.not_found if known is not None else set())
    place.copy = copy
    return copy
