"""What tasks ask for themselves while they run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from engine.errors import NotFound
from engine.runtime.effects import Effects
from engine.store import tasks
from engine.store.async_db import AsyncDatabase

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
        query = tasks.refresh_timeout(tenant_id, task_id, increment_seconds, message, now)
        return _running(await self._database.fetch(query))

    async def release_slot(self, tenant_id: UUID, task_id: UUID) -> None:
        query = tasks.release_slot(tenant_id, task_id, datetime.now(UTC))
        retry_count = _running(await self._database.fetch(query))
        self._effects.free_slot(tenant_id, task_id, retry_count)


def _running(rows: Sequence[Row]) -> Row:
    """Return the one row of an attempt that runs; NotFound if it does not."""
    if not rows:
        raise NotFound("the task is not running")
    return rows[0]
