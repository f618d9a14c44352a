"""Acts when time itself must: back-offs and sleeps end, schedule and execution timeouts expire."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

from engine.operations.changes import Changes
from engine.operations.expire_tasks import BATCH, expire_tasks
from engine.operations.pause_workflows import hold_tasks
from engine.operations.satisfy_entries import expire_durable_sleeps
from engine.operations.satisfy_waits import expire_sleeps
from engine.runtime.aftermath import Aftermath
from engine.runtime.apart import Apart
from engine.runtime.controllers.periodic import PeriodicService
from engine.runtime.scheduler.owner import TenantOwner
from engine.store import tasks
from engine.store.async_db import AsyncDatabase

_SLOWEST_SECONDS = 15.0
_SHORTEST_SECONDS = 0.02
_SETTLE_SECONDS = 0.25


class Clock(PeriodicService):
    """Sleeps until the next due instant; woken when an earlier one may have been set.

    Under load due times are set all the time, and nearly all of them are minutes away: the next due
    instant is read again at most four times a second, which is how late it may act at worst.
    """

    name = "clock"

    def __init__(
        self, database: AsyncDatabase, aftermath: Aftermath, owners: dict[UUID, TenantOwner]
    ) -> None:
        self._database, self._aftermath, self._owners = database, aftermath, owners
        self._woken = asyncio.Event()
        self._expiring = Apart(database, aftermath.spawn, "expiring tasks")
        self._waking = Apart(database, aftermath.spawn, "ending sleeps")

    def wake(self) -> None:
        self._woken.set()

    async def tick(self) -> bool:
        ready = self._ready()
        if not ready:
            return False
        pausing = [owner.tenant_id for owner in self._owners.values() if owner.paused]
        if pausing:
            await self._hold(pausing)
        now = datetime.now(UTC)
        count, _ = await self._expiring.run(
            lambda chosen: expire_tasks(chosen.among(ready), now), self._apply
        )
        slept, _ = await self._waking.run(
            lambda chosen: expire_sleeps(chosen.among(ready), now), self._apply
        )
        rested, changes = await self._database.run(expire_durable_sleeps(ready, datetime.now(UTC)))
        self._aftermath.apply(changes)
        return BATCH in (count, slept, rested)

    def _apply(self, result: tuple[int, Changes]) -> None:
        self._aftermath.apply(result[1])

    def _ready(self) -> list[UUID]:
        """The tenants whose running tasks had time to report since their rows were read."""
        return [tenant_id for tenant_id, owner in self._owners.items() if owner.is_ready]

    async def _hold(self, tenant_ids: list[UUID]) -> None:
        for row in await self._database.run(hold_tasks(tenant_ids)):
            if owner := self._owners.get(row.tenant_id):
                owner.end(row.id, row.retry_count)

    async def wait(self) -> None:
        self._woken.clear()
        due = await self._database.fetch(tasks.next_due(self._ready()))
        seconds = _SLOWEST_SECONDS
        if due:
            left = (due[0] - datetime.now(UTC)).total_seconds()
            seconds = min(seconds, max(_SHORTEST_SECONDS, left))
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
                await asyncio.sleep(_SETTLE_SECONDS)
        except TimeoutError:
            pass
