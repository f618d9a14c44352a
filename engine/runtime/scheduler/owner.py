"""One tenant's scheduler in the engine that owns it: the pure machine plus the rows behind it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from time import perf_counter
from uuid import UUID

import psycopg

from engine import telemetry
from engine.domain.assignment import ReadyTask, RunClaims
from engine.domain.rate_limits import Taken
from engine.domain.scheduler.limits import Refused
from engine.domain.scheduler.machine import Assignment, TenantScheduler
from engine.errors import Unavailable
from engine.operations.rebuild_scheduler import (
    Rules,
    Snapshot,
    load_rules,
    load_snapshot,
    restore,
    upsert_worker,
)
from engine.runtime.loops.outages import is_outage, note_unreachable, wait_out
from engine.runtime.scheduler.alarm import Alarm
from engine.runtime.scheduler.group_rows import GroupRows
from engine.runtime.scheduler.limit_rows import LimitRows, take_rows
from engine.runtime.scheduler.pauses import Pauses
from engine.runtime.scheduler.queue_rows import read_head
from engine.store import queues, workers
from engine.store.async_db import AsyncDatabase
from engine.store.workers import WorkerRow

log = logging.getLogger("hatchet.scheduler")

QUEUE_HEAD = 1000
REPORT_SECONDS = 12.0
"""What runs is not given away before its worker had this time to say how it went: the longest pause
between two tries of a worker to hand in a report is 11 s."""
_REFILL_PAUSE_SECONDS = 0.005
"""Rows read in vain are those whose assignment is just being written."""
_KNOWN_WORKER_AGE = timedelta(minutes=1)


class TenantOwner:
    """Schedules one tenant under one lease epoch.

    Until the rows are read nothing is assigned; what happens meanwhile is noted and applied after, in
    order. Every change is synchronous and on the event loop, so nothing awaits between reading and
    changing the machine. `on_assign` takes what the machine decided.
    """

    def __init__(
        self,
        tenant_id: UUID,
        epoch: int,
        database: AsyncDatabase,
        on_assign: Callable[[TenantOwner, Sequence[Assignment]], None],
        on_cancel: Callable[[TenantOwner, Sequence[ReadyTask], Sequence[RunClaims]], None],
        on_moved: Callable[[Sequence[ReadyTask]], None],
        on_refused: Callable[[Sequence[Refused]], None],
    ) -> None:
        self.tenant_id, self.epoch = tenant_id, epoch
        self._database = database
        self.pauses = Pauses()
        self._renew_memory()
        self.unacknowledged: dict[UUID, tuple[int, float]] = {}
        """Attempts handed out and not confirmed yet: retry count and since when."""
        self.heartbeats: dict[UUID, float] = {}
        self.acknowledged_at: dict[UUID, float] = {}
        """When workers last acknowledged an attempt; of stalled ones, since they are."""
        self._row_times: dict[UUID, datetime] = {}
        """When the rows of workers that were taken last were written."""
        self.reports_until = 0.0
        """Until then workers may be silent because there was nobody to listen."""
        self.is_ready = False
        self.needs_new_epoch = self.is_dropped = False
        self._on_assign, self._on_cancel = on_assign, on_cancel
        self._on_moved, self._on_refused = on_moved, on_refused
        self._alarm = Alarm(self.drain)
        self._limit_rows = LimitRows(tenant_id, database)
        self._noted: list[Callable[[], None]] = []
        self._has_backlog = False
        self._reading = asyncio.Lock()
        self._refilling: asyncio.Task[None] | None = None

    # What happened

    def enqueue(self, ready: Sequence[ReadyTask]) -> None:
        self._apply(lambda: self.machine.enqueue(self.pauses.without_paused(ready)))

    def end(self, attempts: Sequence[tuple[UUID, int]]) -> None:
        """Attempts ended, given as (task, retry count): their slots are free, or places in the queue."""
        for task_id, retry_count in attempts:
            known = self.unacknowledged.get(task_id)
            if known and known[0] <= retry_count:
                del self.unacknowledged[task_id]

        def withdraw() -> None:
            for task_id, retry_count in attempts:
                self.machine.withdraw(task_id, retry_count)

        self._apply(withdraw)

    def end_run(self, run_id: UUID, arrival: UUID) -> None:
        """A run ended: the slots are free that it asked for at its `arrival` in concurrency groups."""
        self._apply(lambda: self.machine.groups.end_run(run_id, arrival.int))

    def release_slot(self, task_id: UUID, retry_count: int) -> None:
        """A running attempt gave its slot back, or was evicted; its concurrency slots it keeps."""
        self.unacknowledged.pop(task_id, None)

        def release() -> None:
            self.machine.workers.release(task_id, retry_count)

        self._apply(release)

    def acknowledge(self, task_ids: Sequence[UUID]) -> None:
        now = datetime.now(UTC).timestamp()
        for task_id in task_ids:
            self.unacknowledged.pop(task_id, None)
            if on_worker := self.machine.workers.task_on(task_id):
                self.acknowledged_at[on_worker[0]] = now

    def beat(self, worker_id: UUID, at: float) -> None:
        self.heartbeats[worker_id] = at
        self._apply(lambda: self.machine.workers.record_heartbeat(worker_id, at))

    def upsert_worker(self, row: WorkerRow) -> None:
        """Take a worker's row as it stands in the database."""
        self._apply(lambda: self._upsert(row))

    def note_backlog(self) -> None:
        """Another process queued more tasks than it named."""
        self._has_backlog = True

    def _apply(self, change: Callable[[], None]) -> None:
        if self.is_ready:
            change()
        else:
            self._noted.append(change)

    def _upsert(self, row: WorkerRow) -> None:
        stored = row.last_heartbeat_at.timestamp() if row.last_heartbeat_at else 0.0
        beat = max(stored, self.heartbeats.get(row.id, 0.0))
        if beat:
            self.heartbeats[row.id] = beat
        if row.updated_at < self._row_times.get(row.id, row.updated_at):
            return  # read before the one we have, and late
        self._row_times[row.id] = row.updated_at
        upsert_worker(self.machine, row, beat or None)

    # What follows

    def offer(self, ready: Sequence[ReadyTask], now: float) -> list[Assignment]:
        """Assign tasks about to be inserted; the others are to be enqueued after their commit."""
        if not self.is_ready or not self.pauses.is_known:
            return []
        return self._handed_out(self.machine.offer(self.pauses.without_paused(ready), now), now)

    def drain(self, now: float) -> None:
        """Hand out everything that can be assigned now."""
        if self.is_ready and self.pauses.is_known:
            assignments = self._handed_out(self.machine.drain(now), now)
            if assignments:
                self._on_assign(self, assignments)
            cancelled, runs = self.machine.take_cancelled(), self.machine.take_cancelled_runs()
            if cancelled or runs:
                self._on_cancel(self, cancelled, runs)
            if moved := self.machine.take_moved():
                self._on_moved(moved)
            if refused := self.machine.limits.take_refused():
                self._on_refused(refused)
            self._alarm.set(self.machine.next_at(), now)
            if self._refilling is None and self.machine.queues.is_low():
                name = f"refilling queues of tenant {self.tenant_id}"
                self._refilling = asyncio.create_task(self._refill_while_low(), name=name)

    def take_batched(self) -> list[ReadyTask]:
        """Return, once, the attempts that began to wait for their batches."""
        return self.machine.batches.take_buffered()

    def unplaceable(self, queued: Sequence[ReadyTask], now: float) -> list[ReadyTask]:
        """Return those of these attempts that wait although no worker might take them even if idle."""
        if not self.is_ready:
            return []
        asked = {(task.action_id, task.placement) for task in queued}
        placeable = {one: self.machine.has_worker_for(*one, now) for one in asked}
        return [
            task
            for task in queued
            if not placeable[task.action_id, task.placement] and self.machine.is_waiting(task.id)
        ]

    def undo(self, task: ReadyTask, epoch: int, units: Sequence[Taken] = ()) -> None:
        """Take back an assignment decided under `epoch` and not written; a rebuild sees for itself."""
        if self.is_ready and epoch == self.epoch:
            self.unacknowledged.pop(task.id, None)
            self.machine.withdraw(task.id, task.retry_count)
            self.machine.limits.give_back(units)

    def undo_offer(self, assignment: Assignment, epoch: int) -> None:
        """Take back the assignment of a task that was not inserted, nor was its run."""
        self.undo(assignment.task, epoch, assignment.taken.get(assignment.task.id, ()))
        claims = assignment.task.claims
        if claims is not None and claims.run is not None and epoch == self.epoch:
            self.machine.groups.end_run(UUID(int=claims.run.id), claims.run.arrival)

    def _handed_out(self, assignments: list[Assignment], now: float) -> list[Assignment]:
        for assignment in assignments:
            for task in assignment.tasks:
                self.unacknowledged[task.id] = (task.retry_count, now)
        return assignments

    # Rules

    async def reload_rules(self) -> None:
        """Read which workflows are paused; forget what waits of those, and read what the others have.

        With them come the concurrency strategies that are the whole tenant's.
        """
        async with self.pauses.reading:
            changes, before = self.pauses.changes, self.pauses.workflows
            rules = await wait_out("rules", lambda: self._database.run(load_rules(self.tenant_id)))
            self._take_rules(rules)
            self.pauses.changes_read = changes
        if self.is_ready:
            for task in self.machine.waiting() if self.pauses.workflows else ():
                if self.pauses.is_paused(task):
                    self.machine.discard(task.id)
        if before - self.pauses.workflows:
            self.note_backlog()
            await self._group_rows.read_again()
            await self.refill()
        self.drain(datetime.now(UTC).timestamp())

    def _take_rules(self, rules: Rules) -> None:
        self.pauses.workflows = rules.paused
        self.machine.groups.share(rules.shared)

    # Rate limits

    async def reload_limits(self, keys: Sequence[str] | None = None) -> None:
        """Take the rows of these rate limits; without keys, of all in which clients have a say."""
        rows = await self._limit_rows.read(keys)
        self._apply(lambda: take_rows(self.machine.limits, rows, keys))
        self.drain(datetime.now(UTC).timestamp())

    # Rows

    def reset(self) -> None:
        """Empty the memory, as it is unknown whether a write was done: assign nothing until rebuilt."""
        self.is_ready = False
        self.needs_new_epoch = True
        self._group_rows.is_dropped = True
        self._renew_memory()
        self.unacknowledged.clear()
        self._row_times.clear()

    def _renew_memory(self) -> None:
        self.machine = TenantScheduler(queue_head_limit=QUEUE_HEAD)
        self._group_rows = GroupRows(
            self._database,
            self.tenant_id,
            self.machine,
            wanted=self.pauses.without_paused,
            on_known=lambda: self.drain(datetime.now(UTC).timestamp()),
        )

    def renew(self, epoch: int) -> None:
        """Go on under a new epoch: nothing decided under the old one can be written any more."""
        self.epoch = epoch
        self.needs_new_epoch = False

    def drop(self) -> None:
        """The tenant is no longer ours to schedule."""
        self._alarm.set(None, 0.0)
        self.is_ready = False
        self.is_dropped = self._group_rows.is_dropped = True

    async def rebuild(self) -> bool:
        """Read the tenant's workers, running tasks and queue heads, then apply what was noted.

        False if the owner was dropped or reset meanwhile.
        """
        machine, changes = self.machine, self.pauses.changes
        began = perf_counter()
        now = datetime.now(UTC)
        reports_until = now + timedelta(seconds=REPORT_SECONDS)
        snapshot = await self._database.run(
            load_snapshot(self.tenant_id, now - _KNOWN_WORKER_AGE, reports_until)
        )
        if self.machine is not machine or self.is_dropped:
            return False
        self.reports_until = reports_until.timestamp()
        self._take(snapshot)
        self.pauses.changes_read = max(self.pauses.changes_read, changes)
        noted, self._noted = self._noted, []
        self.is_ready = True
        for change in noted:
            change()
        self._group_rows.load()
        try:
            await self.refill()
        except Exception as error:
            if is_outage(error):
                raise
            log.exception("tenant %s: a queue cannot be read", self.tenant_id)
        self._emit_rebuilt(snapshot, perf_counter() - began)
        return True

    def _emit_rebuilt(self, snapshot: Snapshot, seconds: float) -> None:
        counts = {
            "seconds": seconds,
            "workers": len(snapshot.workers),
            "running": self.machine.workers.running_count(),
            "waiting": self.machine.waiting_count(),
        }
        metadata = {"tenant_id": self.tenant_id, "epoch": self.epoch}
        telemetry.emit("scheduler.rebuilt", counts, metadata)

    def _take(self, snapshot: Snapshot) -> None:
        self.pauses.workflows = snapshot.rules.paused
        restore(self.machine, snapshot, self._upsert)
        now = datetime.now(UTC).timestamp()
        for running in snapshot.running:
            if not running.was_started:
                self.unacknowledged[running.task.id] = (running.task.retry_count, now)

    async def _refill_while_low(self) -> None:
        try:
            while self.is_ready and self.machine.queues.is_low():
                await self.refill()
                await asyncio.sleep(_REFILL_PAUSE_SECONDS)
        except (Unavailable, psycopg.Error) as error:
            note_unreachable(f"tenant {self.tenant_id}: queues were not refilled", error)
        except Exception:
            log.exception("tenant %s: refilling queues failed", self.tenant_id)
        finally:
            self._refilling = None

    async def reload_workers(self) -> None:
        """Take the rows of all workers heard of lately, and forget those that are gone."""
        known = self.machine.workers.ids()
        heard_since = datetime.now(UTC) - _KNOWN_WORKER_AGE
        rows = await self._database.fetch(workers.of_tenant(self.tenant_id, heard_since))
        for row in rows:
            self.upsert_worker(row)
        if self.is_ready:
            for worker_id in known - {row.id for row in rows}:
                if not self.machine.workers.running_on(worker_id):
                    self.machine.workers.remove(worker_id)
                    self.heartbeats.pop(worker_id, None)
                    self.acknowledged_at.pop(worker_id, None)
                    self._row_times.pop(worker_id, None)
        self.drain(datetime.now(UTC).timestamp())

    async def refill(self) -> bool:
        """Read queue heads that run low, if any, and hand out what that makes possible."""
        async with self._reading:  # the machine takes one reading of a queue at a time
            return await self._read_heads()

    async def _read_heads(self) -> bool:
        if not self.is_ready:
            return False
        if self._has_backlog:
            self._has_backlog = False
            for action_id in await self._database.fetch(queues.queued_actions(self.tenant_id)):
                self.machine.queues.mark_has_more(action_id)
            self._group_rows.poll()
        machine = self.machine
        wanted = machine.queues.wants_refill()
        failures: list[Exception] = []
        for action_id in wanted:
            try:
                await self._read_head(machine, action_id)
            except Exception as error:
                if is_outage(error):
                    raise
                failures.append(error)
            if self.machine is not machine:
                return False  # reset meanwhile: the rebuild reads anew
        self.drain(datetime.now(UTC).timestamp())
        if failures:  # a queue that cannot be read keeps none of the others
            raise failures[0]
        return bool(wanted)

    async def _read_head(self, machine: TenantScheduler, action_id: str) -> None:
        limit = machine.queues.head_limit(action_id)
        ready, has_more = await read_head(self._database, self.tenant_id, action_id, limit)
        if self.machine is machine:
            machine.enqueue(self.pauses.without_paused(ready))
            last = ready[-1] if ready else None
            machine.queues.mark_refilled(action_id, has_more=has_more, last=last)
