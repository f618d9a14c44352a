"""Counts what happened, for monitoring systems and percentiles, behind the back of those who are at work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from engine import telemetry
from engine.operations.count_events import clean_figures, count_events
from engine.runtime.loops.periodic import PeriodicService
from engine.runtime.scheduler.owner import TenantOwner
from engine.states import TenantMetric
from engine.store import figures
from engine.store.async_db import AsyncDatabase
from engine.store.figures import TotalKey

MINUTES_KEPT = timedelta(hours=25)
KEPT = timedelta(days=30)
_CLEANED_AT_ONCE = 10_000
_RESTING_TURNS = 6
"""Where nothing happens, so many turns are left out."""


class Figures(PeriodicService):
    """Counts on in the event log, which one engine does at a time, and what this engine's schedulers did.

    What was written is counted once `settled_after` has passed: by then all ids of that time are there. Once
    an engine has counted and decided nothing for a minute, it looks once a minute.
    """

    name = "figures"
    interval_seconds = 10.0

    def __init__(
        self,
        database: AsyncDatabase,
        owners: dict[UUID, TenantOwner],
        settled_after: timedelta = timedelta(seconds=15),
    ) -> None:
        self._database, self._owners = database, owners
        self._settled_after = settled_after
        self._cleaned_at = datetime.min.replace(tzinfo=UTC)
        self._quiet_turns = 0

    async def wait(self) -> None:
        for _ in range(1 if self._quiet_turns < _RESTING_TURNS else _RESTING_TURNS):
            await super().wait()
            if self._has_decided():
                return

    def _has_decided(self) -> bool:
        return any(owner.machine.has_decided for owner in self._owners.values())

    async def tick(self) -> bool:
        """Count a minute at most; True if there is more."""
        now = datetime.now(UTC)
        self._quiet_turns = 0 if self._has_decided() else self._quiet_turns + 1
        await self._count_decisions()
        if now - self._cleaned_at > timedelta(hours=1):
            self._cleaned_at = now
            await self._clean(now)
        at_least = timedelta(seconds=self.interval_seconds / 2)
        counted = await self._database.run(
            count_events(now - self._settled_after, at_least=at_least)
        )
        if counted is None:
            return False
        if counted.totals:
            self._quiet_turns = 0
        telemetry.emit(
            "figures.counted",
            {"behind_seconds": (now - counted.until).total_seconds()},
            {"totals": counted.totals},
        )
        return counted.is_behind

    async def _count_decisions(self) -> None:
        """Add how often schedulers went through their queues; a crash loses what is not written yet."""
        turns: dict[TotalKey, float] = {}
        for tenant_id, owner in self._owners.items():
            decided = owner.machine.take_decided()
            if any(decided):
                counts = {
                    "turns": decided.turns,
                    "assigned": decided.assigned,
                    "cancelled": decided.cancelled,
                }
                telemetry.emit("scheduler.decided", counts, {"tenant_id": tenant_id})
            if decided.turns:
                turns[TotalKey(tenant_id, TenantMetric.QUEUE_INVOCATIONS)] = decided.turns
        if turns:
            await self._database.fetch(figures.add_totals(turns))

    async def _clean(self, now: datetime) -> None:
        merged_before = (now - MINUTES_KEPT).replace(minute=0, second=0, microsecond=0)
        while await self._database.run(clean_figures(merged_before, now - KEPT, _CLEANED_AT_ONCE)):
            pass
