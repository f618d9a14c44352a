"""Finds attempts that no worker runs: never delivered, swallowed, or on workers that fell silent."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from engine import telemetry
from engine.operations.expire_tasks import requeue_lost, requeue_swallowed, requeue_undelivered
from engine.operations.stall_workers import recover_workers, stall_workers
from engine.runtime.effects import Effects
from engine.runtime.loops.isolation import SetAside, each_alone, isolate, work_off
from engine.runtime.loops.periodic import PeriodicService
from engine.runtime.scheduler.owner import REPORT_SECONDS, TenantOwner
from engine.store import lost_tasks
from engine.store.async_db import AsyncDatabase
from engine.store.lost_tasks import LostAttempt, Swallowed

log = logging.getLogger("hatchet.controllers")

ACKNOWLEDGE_SECONDS = 5.0
SILENCE_SECONDS = 30.0
_LATE_SECONDS = 3.0
_MOST_DOUBLED = 6
_BATCH = 500


class LostWorkers(PeriodicService):
    """Looks at the schedulers' memory every second; asks the rows only about suspects.

    A worker that is connected and has acknowledged nothing of what it was sent some seconds ago is stalled:
    it gets nothing new until it acknowledges something or connects anew. What it was sent is taken back if
    another worker may take it. It may only be slow: without another worker, and with every attempt that was
    taken back before, it gets more time, so that a slow one that is alone gets done what it is given.
    """

    name = "lost workers"
    interval_seconds = 1.0

    def __init__(
        self, database: AsyncDatabase, effects: Effects, owners: dict[UUID, TenantOwner]
    ) -> None:
        self._database, self._effects, self._owners = database, effects, owners
        self._set_aside: SetAside[UUID] = SetAside()
        self._looked_at = 0.0
        self._swallowed: dict[UUID, set[UUID]] = {}
        """Tasks by stalled worker: to acknowledge one of them is to take what comes again."""

    async def tick(self) -> bool:
        now = datetime.now(UTC).timestamp()
        was_held_up = 0.0 < self._looked_at < now - _LATE_SECONDS
        self._looked_at = 0.0 if was_held_up else now
        if was_held_up:
            return False  # so were, perhaps, the reports of workers: they come first
        ready = [owner for owner in self._owners.values() if owner.is_ready]
        await each_alone("looking for stalled workers", ready, self._check_stalled)
        await each_alone("looking for undelivered tasks", ready, self._check_deliveries)
        await each_alone("looking for lost workers", ready, self._check_silence)
        return False

    async def _check_deliveries(self, owner: TenantOwner) -> None:
        now = datetime.now(UTC)
        overdue = now.timestamp() - ACKNOWLEDGE_SECONDS
        set_aside = self._set_aside.now()
        suspects = [
            (task_id, retry_count)
            for task_id, (retry_count, since) in owner.unacknowledged.items()
            if since < overdue and task_id not in set_aside
        ][:_BATCH]
        if not suspects:
            return
        quiet_since = now - timedelta(seconds=REPORT_SECONDS)

        async def requeue(task_ids: Sequence[UUID]) -> None:
            await self._database.run(requeue_undelivered(task_ids, quiet_since, now))

        attempts = [task_id for task_id, _ in suspects]
        await isolate("undelivered tasks", attempts, requeue, self._leave)
        if now.timestamp() >= owner.reports_until:
            await self._check_swallowed(owner, attempts, now)
        for task_id, retry_count in suspects:
            known = owner.unacknowledged.get(task_id)
            if known and known[0] == retry_count:
                owner.unacknowledged[task_id] = (retry_count, now.timestamp())

    async def _check_swallowed(
        self, owner: TenantOwner, attempts: Sequence[UUID], now: datetime
    ) -> None:
        sent_before = now - timedelta(seconds=ACKNOWLEDGE_SECONDS)
        found = await self._database.fetch(lost_tasks.swallowed(attempts, sent_before))
        sinces: dict[UUID, datetime] = {}
        for row in found:
            if not _is_heard(owner, row):
                sinces[row.worker_id] = min(sinces.get(row.worker_id, now), row.assigned_at)
                self._swallowed.setdefault(row.worker_id, set()).add(row.id)
        if new := set(sinces) - set(owner.machine.workers.stalled()):
            for worker_id in new:
                ids = {"tenant_id": owner.tenant_id, "worker_id": worker_id}
                telemetry.emit("worker.stalled", {}, ids)
                owner.acknowledged_at.pop(worker_id, None)
            stall = stall_workers(owner.tenant_id, {key: sinces[key] for key in new}, now)
            for worker in await self._database.run(stall):
                owner.upsert_worker(worker)
            self._effects.touch_workers(owner.tenant_id)

        async def take_back(rows: Sequence[Swallowed]) -> None:
            await self._database.run(requeue_swallowed(rows, now))

        async def leave(row: Swallowed, error: Exception) -> None:
            await self._leave(row.id, error)

        overdue = [row for row in found if _is_overdue(owner, row, now)]
        await isolate("swallowed tasks", overdue, take_back, leave)

    async def _check_stalled(self, owner: TenantOwner) -> None:
        stalled = owner.machine.workers.stalled()
        if not stalled:
            return
        now = datetime.now(UTC)
        recover = recover_workers(
            owner.tenant_id,
            stalled,
            now,
            heard=[worker_id for worker_id in stalled if worker_id in owner.acknowledged_at],
            task_ids=[task_id for key in stalled for task_id in self._swallowed.get(key, ())],
        )
        for worker in await self._database.run(recover):
            owner.upsert_worker(worker)
        recovered = set(stalled) - set(owner.machine.workers.stalled())
        for worker_id in recovered:
            self._swallowed.pop(worker_id, None)
        if recovered:
            self._effects.touch_workers(owner.tenant_id)
            owner.drain(now.timestamp())

    async def _check_silence(self, owner: TenantOwner) -> None:
        now = datetime.now(UTC)
        if now.timestamp() < owner.reports_until:
            return
        silent_since = now - timedelta(seconds=SILENCE_SECONDS)
        silent = [
            worker_id
            for worker_id in owner.machine.workers.with_tasks()
            if owner.heartbeats.get(worker_id, 0.0) < silent_since.timestamp()
        ]
        if not silent:
            return
        for worker_id in silent:
            ids = {"tenant_id": owner.tenant_id, "worker_id": worker_id}
            telemetry.emit("worker.lost", {}, ids)

        async def requeue(only: Sequence[LostAttempt] | None) -> int:
            if only is None and self._set_aside.now():
                only = await lost()
            operation = requeue_lost(silent, silent_since, now, only)
            await self._database.run(operation)
            return 0

        async def lost() -> list[LostAttempt]:
            query = lost_tasks.on_lost_workers(silent, silent_since, _BATCH)
            set_aside = self._set_aside.now()
            return [task for task in await self._database.fetch(query) if task.id not in set_aside]

        async def leave(task: LostAttempt, error: Exception) -> None:
            await self._leave(task.id, error)

        await work_off("lost tasks", requeue, lost, leave)

    async def _leave(self, task_id: UUID, error: Exception) -> None:
        log.error("task %s is lost and cannot be queued again", task_id, exc_info=error)
        self._set_aside.add(task_id)


def _is_heard(owner: TenantOwner, row: Swallowed) -> bool:
    """Whether the worker has acknowledged something since: then it reads its stream."""
    return (
        row.is_heard or owner.acknowledged_at.get(row.worker_id, 0.0) > row.assigned_at.timestamp()
    )


def _is_overdue(owner: TenantOwner, row: Swallowed, now: datetime) -> bool:
    """Whether the attempt has waited for its worker for so long that it is better off in the queue."""
    seconds = SILENCE_SECONDS
    held = owner.machine.workers.task_on(row.id)
    if held is not None and not _is_heard(owner, row):
        task = held[1]
        if owner.machine.has_worker_for(task.action_id, task.placement, now.timestamp()):
            seconds = ACKNOWLEDGE_SECONDS
    seconds *= 2 ** min(row.internal_retry_count, _MOST_DOUBLED)
    return now - row.assigned_at > timedelta(seconds=seconds)
