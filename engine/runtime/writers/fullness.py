"""Remembers for a moment which tenants have reached a limit, so that refusing them costs the others nothing."""

from __future__ import annotations

import asyncio
from uuid import UUID

from engine.errors import LimitReached

_SECONDS = 1.0
"""So long after it has room again, because its window is over or its limit was raised, a tenant may be refused."""


class Fullness:
    """Which tenants have no room at all."""

    def __init__(self) -> None:
        self._full: dict[UUID, tuple[float, LimitReached]] = {}

    def note(self, error: LimitReached) -> None:
        if error.room == 0 and error.tenant_id is not None:
            until = asyncio.get_running_loop().time() + _SECONDS
            self._full[error.tenant_id] = until, error

    def of(self, tenant_id: UUID) -> LimitReached | None:
        """Return why a tenant gets nothing now."""
        if not self._full or tenant_id not in self._full:
            return None
        until, error = self._full[tenant_id]
        if until > asyncio.get_running_loop().time():
            return error
        del self._full[tenant_id]
        return None
