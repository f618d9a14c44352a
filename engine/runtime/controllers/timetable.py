"""Fires crons and schedules when they are due."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from engine.operations.timetable.fire_crons import BATCH, fire_crons, set_cron_aside
from engine.operations.timetable.fire_schedules import fire_schedules, set_schedule_aside
from engine.runtime.loops.apart import Apart, Chosen, Spawn
from engine.runtime.loops.isolation import cause_of, work_off
from engine.runtime.loops.periodic import PeriodicService, is_woken
from engine.store import crons, schedules
from engine.store.async_db import AsyncDatabase

_SLOWEST_SECONDS = 20.0
_SHORTEST_SECONDS = 0.001
_AFTER_ANOTHER = timedelta(milliseconds=100)
RESTART_GRACE = timedelta(seconds=3)


class Timetable(PeriodicService):
    """Sleeps until the next due instant of any tenant; woken when an earlier one may have been set.

    Every engine tries; locked rows are left to the one that holds them. What fell due before this
    engine was there is missed by crons, give or take a quick restart. What cannot be fired is written
    down where it is shown, and keeps nothing from the rest.
    """

    name = "timetable"

    def __init__(self, database: AsyncDatabase, spawn: Spawn) -> None:
        self._database = database
        self._woken = asyncio.Event()
        self._crons = Apart(database, spawn, "firing crons")
        self._schedules = Apart(database, spawn, "firing schedules")
        self._running_since = datetime.now(UTC) - RESTART_GRACE
        self._due_at: datetime | None = None

    def wake(self) -> None:
        self._woken.set()

    async def tick(self) -> bool:
        self._woken.clear()
        (self._due_at,) = await self._database.fetch(schedules.next_due())
        now = datetime.now(UTC)
        if self._due_at is None or self._due_at > now:
            return False
        looked_at = await self._crons.run(lambda chosen: self._fire_crons(chosen, now))
        looked_at += await self._schedules.run(lambda chosen: self._fire_schedules(chosen, now))
        if not looked_at:  # another engine is at it, or expressions are evaluated first
            self._due_at = now + _AFTER_ANOTHER
        return looked_at > 0

    async def _fire_crons(self, chosen: Chosen, now: datetime) -> int:
        only, but = chosen.only, chosen.but

        async def fire(ids: Sequence[UUID] | None) -> int:
            operation = fire_crons(now, self._running_since, ids, only=only, but=but)
            return await chosen.run(operation)

        async def due() -> list[UUID]:
            return await self._database.fetch(crons.due_ids(now, BATCH, only=only, but=but))

        async def set_aside(cron_id: UUID, error: Exception) -> None:
            await self._database.run(set_cron_aside(cron_id, cause_of(error), now))

        return await work_off("crons", fire, due, set_aside)

    async def _fire_schedules(self, chosen: Chosen, now: datetime) -> int:
        only, but = chosen.only, chosen.but

        async def fire(ids: Sequence[UUID] | None) -> int:
            return await chosen.run(fire_schedules(now, ids, only=only, but=but))

        async def due() -> list[UUID]:
            return await self._database.fetch(schedules.due_ids(now, BATCH, only=only, but=but))

        async def set_aside(schedule_id: UUID, error: Exception) -> None:
            await self._database.run(set_schedule_aside(schedule_id, cause_of(error), now))

        return await work_off("schedules", fire, due, set_aside)

    async def wait(self) -> None:
        seconds = _SLOWEST_SECONDS
        if self._due_at is not None:
            left = (self._due_at - datetime.now(UTC)).total_seconds()
            seconds = min(seconds, max(_SHORTEST_SECONDS, left))
        await is_woken(self._woken, seconds)
