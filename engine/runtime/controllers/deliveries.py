"""Finds attempts that no worker runs: never delivered, or on workers that fell silent."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from engine.operations.expire_tasks import requeue_lost, requeue_undelivered
from engine.runtime.aftermath import Aftermath
from engine.runtime.controllers.periodic import PeriodicService
from engine.runtime.isolation import SetAside, each_alone, isolate, work_off
from engine.runtime.scheduler.owner import REPORT_SECONDS, TenantOwner
from engine.store import lost_tasks
from engine.store.async_db import AsyncDatabase
from engine.store.lost_tasks import LostAttempt

log = logging.getLogger("hatchet.controllers")

ACKNOWLEDGE_SECONDS = 5.0
SILENCE_SECONDS = 30.0
_BATCH = 500


class Deliveries(PeriodicService):
    """Looks at the schedulers' memory every second; asks the rows only about suspects."""

    name = "deliveries"
    interval_seconds = 1.0

    def __init__(
        self, database: AsyncDatabase, aftermath: Aftermath, owners: dict[UUID, TenantOwner]
    ) -> None:
        self._database, self._aftermath, self._owners = database, aftermath, owners
        self._set_aside: SetAside[UUID] = SetAside()

    async def tick(self) -> bool:
        ready = [owner for owner in self._owners.values() if owner.is_ready]
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
            changes = await self._database.run(requeue_undelivered(task_ids, quiet_since, now))
            self._aftermath.apply(changes)

        attempts = [task_id for task_id, _ in suspects]
        await isolate("undelivered tasks", attempts, requeue, self._leave)
        for task_id, retry_count in suspects:
            known = owner.unacknowledged.get(task_id)
            if known and known[0] == retry_count:
                owner.unacknowledged[task_id] = (retry_count, now.timestamp())

    async def _check_silence(self, owner: TenantOwner) -> None:
        now = datetime.now(UTC)
        if now.timestamp() < owner.reports_until:
            return
        silent_since = now - timedelta(seconds=SILENCE_SECONDS)
        silent = [
            worker_id
            for worker_id in owner.machine.workers_with_tasks()
            if owner.heartbeats.get(worker_id, 0.0) < silent_since.timestamp()
        ]
        if not silent:
            return

        async def requeue(only: Sequence[LostAttempt] | None) -> int:
            if only is None and self._set_aside.now():
                only = await lost()
            operation = requeue_lost(silent, silent_since, now, only)
            self._aftermath.apply(await self._database.run(operation))
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
