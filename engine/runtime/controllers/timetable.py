"""Fires crons and schedules when they are due."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from engine.operations.fire_crons import Fired, fire_crons
from engine.operations.fire_schedules import fire_schedules
from engine.runtime.aftermath import Aftermath
from engine.runtime.apart import Apart
from engine.runtime.controllers.periodic import PeriodicService, is_woken
from engine.store.async_db import AsyncDatabase
from engine.store.schedules import next_due

_SLOWEST_SECONDS = 20.0
_SHORTEST_SECONDS = 0.001
_AFTER_ANOTHER = timedelta(milliseconds=100)
RESTART_GRACE = timedelta(seconds=3)
LATEST = timedelta(seconds=60)


class Timetable(PeriodicService):
    """Sleeps until the next due instant of any tenant; woken when an earlier one may have been set.

    Every engine tries; locked rows are left to the one that holds them. What fell due before this
    engine was there is missed by crons, give or take a quick restart, and so is what is a minute old.
    """

    name = "timetable"

    def __init__(self, database: AsyncDatabase, aftermath: Aftermath) -> None:
        self._database, self._aftermath = database, aftermath
        self._woken = asyncio.Event()
        self._crons = Apart(database, aftermath.spawn, "firing crons")
        self._schedules = Apart(database, aftermath.spawn, "firing schedules")
        self._since = datetime.now(UTC)
        self._due_at: datetime | None = None

    def wake(self) -> None:
        self._woken.set()

    async def tick(self) -> bool:
        self._woken.clear()
        (self._due_at,) = await self._database.fetch(next_due())
        now = datetime.now(UTC)
        if self._due_at is None or self._due_at > now:
            return False
        not_before = max(self._since - RESTART_GRACE, now - LATEST)
        crons = await self._crons.run(
            lambda chosen: fire_crons(now, not_before, only=chosen.only, but=chosen.but),
            self._apply,
        )
        schedules = await self._schedules.run(
            lambda chosen: fire_schedules(now, only=chosen.only, but=chosen.but), self._apply
        )
        looked_at = crons.looked_at + schedules.looked_at
        if not looked_at:  # another engine is at it, or expressions are evaluated first
            self._due_at = now + _AFTER_ANOTHER
        return looked_at > 0

    def _apply(self, fired: Fired) -> None:
        self._aftermath.apply(fired.changes)

    async def wait(self) -> None:
        seconds = _SLOWEST_SECONDS
        if self._due_at is not None:
            left = (self._due_at - datetime.now(UTC)).total_seconds()
            seconds = min(seconds, max(_SHORTEST_SECONDS, left))
        await is_woken(self._woken, seconds)
