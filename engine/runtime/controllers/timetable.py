"""Fires crons and schedules when they are due."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from engine import telemetry
from engine.domain.cron.firing import Missed
from engine.operations.timetable.fire_crons import BATCH, Fired, fire_crons, set_cron_aside
from engine.operations.timetable.fire_schedules import fire_schedules, set_schedule_aside
from engine.runtime.effects import Effects
from engine.runtime.loops.apart import Apart, Chosen
from engine.runtime.loops.isolation import cause_of, work_off
from engine.runtime.loops.periodic import PeriodicService, is_woken
from engine.store import crons, schedules
from engine.store.async_db import AsyncDatabase
from engine.store.query import Operation

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

    def __init__(self, database: AsyncDatabase, effects: Effects) -> None:
        self._database, self._effects = database, effects
        self._woken = asyncio.Event()
        self._crons = Apart(database, effects.spawn, "firing crons")
        self._schedules = Apart(database, effects.spawn, "firing schedules")
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
            done = await self._fire(chosen, operation)
            for cron in done.fired:
                ids_of = {"tenant_id": cron.tenant_id, "cron_id": cron.id}
                telemetry.emit("cron.fired", {"late_seconds": _since(cron.due_at)}, ids_of)
            for cron_id, missed in done.missed:
                _emit_missed(cron_id, missed)
            return done.looked_at

        async def due() -> list[UUID]:
            return await self._database.fetch(crons.due_ids(now, BATCH, only=only, but=but))

        async def set_aside(cron_id: UUID, error: Exception) -> None:
            for missed in await self._database.run(set_cron_aside(cron_id, cause_of(error), now)):
                _emit_missed(cron_id, missed)

        return await work_off("crons", fire, due, set_aside)

    async def _fire_schedules(self, chosen: Chosen, now: datetime) -> int:
        only, but = chosen.only, chosen.but

        async def fire(ids: Sequence[UUID] | None) -> int:
            done = await self._fire(chosen, fire_schedules(now, ids, only=only, but=but))
            for schedule in done.fired:
                ids_of = {"tenant_id": schedule.tenant_id, "schedule_id": schedule.id}
                telemetry.emit("schedule.fired", {"late_seconds": _since(schedule.due_at)}, ids_of)
            return done.looked_at

        async def due() -> list[UUID]:
            return await self._database.fetch(schedules.due_ids(now, BATCH, only=only, but=but))

        async def set_aside(schedule_id: UUID, error: Exception) -> None:
            await self._database.run(set_schedule_aside(schedule_id, cause_of(error), now))

        return await work_off("schedules", fire, due, set_aside)

    async def _fire(self, chosen: Chosen, operation: Operation[Fired]) -> Fired:
        fired = await chosen.run(operation)
        self._effects.apply(fired.changes)
        return fired

    async def wait(self) -> None:
        seconds = _SLOWEST_SECONDS
        if self._due_at is not None:
            left = (self._due_at - datetime.now(UTC)).total_seconds()
            seconds = min(seconds, max(_SHORTEST_SECONDS, left))
        await is_woken(self._woken, seconds)


def _since(due_at: datetime) -> float:
    return (datetime.now(UTC) - due_at).total_seconds()


def _emit_missed(cron_id: UUID, missed: Missed) -> None:
    metadata = {"cron_id": cron_id, "cause": missed.cause.name.lower()}
    telemetry.emit("cron.missed", {"times": missed.times}, metadata)
