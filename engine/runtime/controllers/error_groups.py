"""Counts failures into groups soon after they happened, away from the transactions in which they do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from engine import telemetry
from engine.operations.group_failures import AT_ONCE, group_failures
from engine.runtime.loops.periodic import PeriodicService, is_woken
from engine.store.async_db import AsyncDatabase

REST_SECONDS = 60.0
"""After so long it looks for failures of engines that did not come to count them."""


class ErrorGroups(PeriodicService):
    """Woken by failures that this engine wrote. Any engine may do it: what one counts, others pass over."""

    name = "error groups"
    interval_seconds = 5.0

    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database
        self._woken = asyncio.Event()

    async def run(self) -> None:
        with telemetry.attached(self._wake, "tasks.failed", "tasks.timed_out", "tasks.requeued"):
            await super().run()

    async def wait(self) -> None:
        """Wait for a failure, and then for those that follow it."""
        if await is_woken(self._woken, REST_SECONDS):
            await super().wait()

    async def tick(self) -> bool:
        self._woken.clear()
        grouped = await self._database.run(group_failures(datetime.now(UTC)))
        new = [(group.tenant_id, group.id) for group in grouped.groups if group.is_new]
        again = [(group.tenant_id, group.id) for group in grouped.groups if group.is_reopened]
        telemetry.emit_ids("errors.new", "group_ids", new)
        telemetry.emit_ids("errors.reopened", "group_ids", again)
        return grouped.number == AT_ONCE

    def _wake(
        self, _name: str, _measurements: Mapping[str, float], _metadata: Mapping[str, Any]
    ) -> None:
        self._woken.set()
