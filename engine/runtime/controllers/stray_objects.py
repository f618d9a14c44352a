"""Removes objects that no row refers to: their transactions failed, or their rows are gone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from engine.ids import time_of
from engine.runtime.loops.periodic import PeriodicService
from engine.store import payloads
from engine.store.async_db import AsyncDatabase
from engine.vault.envelope import Unreadable
from engine.vault.objects import (
    LONGEST_REFERENCE,
    ObjectKey,
    ObjectStore,
    is_reference,
    parse_key,
    parse_reference,
)

STRAY_AFTER = timedelta(hours=1)
"""Longer than any transaction lasts whose rows are to refer to an object."""


class StrayObjects(PeriodicService):
    """Goes through the whole store, some objects a turn, and begins again after a rest."""

    name = "stray objects"
    interval_seconds = 3_600.0

    def __init__(self, database: AsyncDatabase, store: ObjectStore) -> None:
        self._database, self._store = database, store
        self._after = ""

    async def tick(self) -> bool:
        page = await asyncio.to_thread(self._store.page, self._after)
        self._after = page[-1] if page else ""
        before = datetime.now(UTC) - STRAY_AFTER
        found = [key for key in map(parse_key, page) if key is not None]
        old = [key for key in found if time_of(key.id) < before]
        if stray := await self._stray(old):
            await asyncio.to_thread(self._store.delete, stray)
        return bool(page)

    async def _stray(self, keys: list[ObjectKey]) -> list[str]:
        if not keys:
            return []
        owners = {key.owner_id for key in keys}
        used = set()
        for row in await self._database.fetch(payloads.stored(owners, LONGEST_REFERENCE)):
            try:
                used |= {parse_reference(row.stored).key} if is_reference(row.stored) else set()
            except Unreadable:
                continue  # it refers to nothing
        return [str(key) for key in keys if str(key) not in used]
