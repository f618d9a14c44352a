"""Counts failures into groups soon after they happened, away from the transactions in which they do."""

from __future__ import annotations

from datetime import UTC, datetime

from engine import telemetry
from engine.operations.group_failures import AT_ONCE, group_failures
from engine.runtime.loops.periodic import PeriodicService
from engine.store.async_db import AsyncDatabase


class ErrorGroups(PeriodicService):
    """Any engine may do it: failures that one counts, others pass over."""

    name = "error groups"
    interval_seconds = 5.0

    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database

    async def tick(self) -> bool:
        grouped = await self._database.run(group_failures(datetime.now(UTC)))
        new = [(group.tenant_id, group.id) for group in grouped.groups if group.is_new]
        again = [(group.tenant_id, group.id) for group in grouped.groups if group.is_reopened]
        telemetry.emit_ids("errors.new", "group_ids", new)
        telemetry.emit_ids("errors.reopened", "group_ids", again)
        return grouped.number == AT_ONCE
