"""Tells when tenants come near their limits, or reach them: once each, whichever engine sees it first."""

from __future__ import annotations

from datetime import UTC, datetime

from engine import telemetry
from engine.runtime.loops.periodic import PeriodicService
from engine.store import resource_limits
from engine.store.async_db import AsyncDatabase
from engine.store.resource_limits import Level
from tenants.limits import enforced


class LimitWatch(PeriodicService):
    """Looks at what has been counted; without limits it only sleeps."""

    name = "limit watch"
    interval_seconds = 10.0

    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database

    async def tick(self) -> bool:
        limits, now = enforced(), datetime.now(UTC)
        if not limits:
            return False
        for row in await self._database.fetch(resource_limits.announce(limits, now)):
            measured = {"value": row.value, "limit": row.most}
            metadata = {"tenant_id": row.tenant_id, "resource": row.resource}
            if row.level == Level.REACHED:
                telemetry.emit("limit.reached", measured, metadata)
            elif row.level == Level.NEAR:
                telemetry.emit("limit.alarmed", measured, metadata)
        return False
