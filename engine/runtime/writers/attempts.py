"""What tasks ask for themselves while they run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from engine.errors import NotFound
from engine.runtime.effects import Effects
from engine.runtime.loops.outages import told_to_caller
from engine.store import tasks
from engine.store.async_db import AsyncDatabase
from engine.store.query import Query

Row = TypeVar("Row")


class Attempts:
    """More time, and its worker's slot back before the end."""

    def __init__(self, database: AsyncDatabase, effects: Effects) -> None:
        self._database, self._effects = database, effects

    async def refresh_timeout(
        self, tenant_id: UUID, task_id: UUID, increment: str, increment_seconds: float
    ) -> datetime:
        message = f"Timeout refreshed by {increment}"
        now = datetime.now(UTC)
        return await self._one(
            tasks.refresh_timeout(tenant_id, task_id, increment_seconds, message, now)
        )

    async def release_slot(self, tenant_id: UUID, task_id: UUID) -> None:
        retry_count = await self._one(tasks.release_slot(tenant_id, task_id, datetime.now(UTC)))
        self._effects.free_slot(tenant_id, task_id, retry_count)

    async def _one(self, query: Query[Row]) -> Row:
        with told_to_caller():
            rows = await self._database.fetch(query)
        if not rows:
            raise NotFound("the task is not running")
        return rows[0]
