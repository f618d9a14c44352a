"""Finds attempts that no worker runs: never delivered, or on workers that fell silent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from engine.operations.expire_tasks import requeue_lost, requeue_undelivered
from engine.runtime.aftermath import Aftermath
from engine.runtime.controllers.periodic import PeriodicService
from engine.runtime.scheduler.owner import REPORT_SECONDS, TenantOwner
from engine.store.async_db import AsyncDatabase

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

    async def tick(self) -> bool:
        for owner in list(self._owners.values()):
            if owner.is_ready:
                await self._check_deliveries(owner)
                await self._check_silence(owner)
        return False

    async def _check_deliveries(self, owner: TenantOwner) -> None:
        now = datetime.now(UTC)
        overdue = now.timestamp() - ACKNOWLEDGE_SECONDS
        suspects = [
            (task_id, retry_count)
            for task_id, (retry_count, since) in owner.unacknowledged.items()
            if since < overdue
        ][:_BATCH]
        if not suspects:
            return
        quiet_since = now - timedelta(seconds=REPORT_SECONDS)
        attempts = [task_id for task_id, _ in suspects]
        changes = await self._database.run(requeue_undelivered(attempts, quiet_since, now))
        self._aftermath.apply(changes)
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
        if silent:
            changes = await self._database.run(requeue_lost(silent, silent_since, now))
            self._aftermath.apply(changes)
