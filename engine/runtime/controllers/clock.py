"""Acts when time itself must: back-offs and sleeps end, schedule and execution timeouts expire."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from engine.operations.durable.satisfy_entries import expire_durable_sleeps
from engine.operations.expire_tasks import BATCH, expire_tasks, postpone_task
from engine.operations.pause_workflows import hold_tasks
from engine.operations.satisfy_waits import expire_sleeps
from engine.runtime.loops.apart import Apart, Chosen, Spawn
from engine.runtime.loops.isolation import SET_ASIDE_SECONDS, cause_of, isolate, work_off
from engine.runtime.loops.periodic import PeriodicService
from engine.runtime.scheduler.owner import TenantOwner
from engine.store import durable_waits, step_waits, tasks
from engine.store.async_db import AsyncDatabase
from engine.store.durable_waits import OpenWait
from engine.store.step_waits import WaitRow
from engine.store.tasks import Located

log = logging.getLogger("hatchet.controllers")

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
        self, database: AsyncDatabase, spawn: Spawn, owners: dict[UUID, TenantOwner]
    ) -> None:
        self._database, self._owners = database, owners
        self._woken = asyncio.Event()
        self._expiring = Apart(database, spawn, "expiring tasks")
        self._waking = Apart(database, spawn, "ending sleeps")

    def wake(self) -> None:
        self._woken.set()

    async def tick(self) -> bool:
        ready = self._ready()
        if not ready:
            return False
        await self._hold(
            [owner.tenant_id for owner in self._owners.values() if owner.pauses.workflows]
        )
        done = [
            await self._expiring.run(lambda chosen: self._expire_tasks(chosen, ready)),
            await self._waking.run(lambda chosen: self._end_sleeps(chosen, ready)),
            await self._end_rests(ready),
        ]
        return BATCH in done

    def _ready(self) -> list[UUID]:
        """The tenants whose running tasks had time to report since their rows were read."""
        return [tenant_id for tenant_id, owner in self._owners.items() if owner.is_ready]

    async def _hold(self, tenant_ids: Sequence[UUID]) -> None:
        async def hold(part: Sequence[UUID]) -> None:
            await self._database.run(hold_tasks(part))

        async def leave(tenant_id: UUID, error: Exception) -> None:
            log.error("tenant %s: tasks are not held", tenant_id, exc_info=error)

        await isolate("pauses", tenant_ids, hold, leave)

    async def _expire_tasks(self, chosen: Chosen, ready: Sequence[UUID]) -> int:
        tenant_ids = chosen.among(ready)

        async def expire(only: Sequence[Located] | None) -> int:
            operation = expire_tasks(tenant_ids, datetime.now(UTC), only)
            return await chosen.run(operation)

        async def due() -> list[Located]:
            return await self._database.fetch(tasks.due(tenant_ids, datetime.now(UTC), BATCH))

        async def set_aside(task: Located, error: Exception) -> None:
            await self._database.run(postpone_task(task.id, cause_of(error), *_from_now()))

        return await work_off("tasks", expire, due, set_aside)

    async def _end_sleeps(self, chosen: Chosen, ready: Sequence[UUID]) -> int:
        tenant_ids = chosen.among(ready)

        async def end(only: Sequence[WaitRow] | None) -> int:
            operation = expire_sleeps(tenant_ids, datetime.now(UTC), only)
            return await chosen.run(operation)

        async def due() -> list[WaitRow]:
            return await self._database.fetch(step_waits.due(tenant_ids, datetime.now(UTC), BATCH))

        async def set_aside(wait: WaitRow, error: Exception) -> None:
            _, until = _from_now()
            await self._database.fetch(step_waits.postpone(wait.task_id, wait.ordinal, until))

        return await work_off("sleeps", end, due, set_aside)

    async def _end_rests(self, tenant_ids: Sequence[UUID]) -> int:
        async def end(only: Sequence[OpenWait] | None) -> int:
            operation = expire_durable_sleeps(tenant_ids, datetime.now(UTC), only)
            return await self._database.run(operation)

        async def due() -> list[OpenWait]:
            now = datetime.now(UTC)
            return await self._database.fetch(durable_waits.due(tenant_ids, now, BATCH))

        async def set_aside(wait: OpenWait, error: Exception) -> None:
            _, until = _from_now()
            query = durable_waits.postpone(wait.task_id, wait.node, wait.ordinal, until)
            await self._database.fetch(query)

        return await work_off("durable sleeps", end, due, set_aside)

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


def _from_now() -> tuple[datetime, datetime]:
    """Return now, and when what is set aside is tried again."""
    now = datetime.now(UTC)
    return now, now + timedelta(seconds=SET_ASIDE_SECONDS)
