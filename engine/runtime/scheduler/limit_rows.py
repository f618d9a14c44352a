"""Brings what clients change about rate limits into a scheduler's memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from engine.domain.scheduler.limits import RateLimits
from engine.store import rate_limits
from engine.store.async_db import AsyncDatabase
from engine.store.rate_limits import RateLimitRow


class LimitRows:
    """Reads the rows of one tenant's rate limits, one reading after the other: the last is the latest."""

    def __init__(self, tenant_id: UUID, database: AsyncDatabase) -> None:
        self._tenant_id, self._database = tenant_id, database
        self._reading = asyncio.Lock()

    async def read(self, keys: Sequence[str] | None) -> list[RateLimitRow]:
        """Return the rows of these keys; without keys, of all in which clients have a say."""
        async with self._reading:
            if keys is None:
                return await self._database.fetch(rate_limits.settings(self._tenant_id))
            return await self._database.fetch(rate_limits.by_keys(self._tenant_id, keys))


def take_rows(limits: RateLimits, rows: Sequence[RateLimitRow], keys: Sequence[str] | None) -> None:
    """Apply what was read; a key without a row was deleted."""
    looked_for = limits.known_settings() if keys is None else keys
    for key in set(looked_for) - {row.key for row in rows}:
        limits.unset(key)
    for row in rows:
        limits.set(row.key, row.state())
    if keys is None:
        limits.forget_idle(datetime.now(UTC).timestamp())
