"""Carries out what programs of the same database asked for in transactions of their own."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from engine import telemetry
from engine.operations.take_outbox import MOST_OF_EACH, set_wish_aside, take_outbox
from engine.runtime.loops.apart import Apart, Chosen, Spawn
from engine.runtime.loops.isolation import cause_of, work_off
from engine.runtime.loops.periodic import PeriodicService, is_woken
from engine.store import outbox
from engine.store.async_db import AsyncDatabase
from engine.store.outbox import Refused

log = logging.getLogger("hatchet.controllers")

INTERVAL_SECONDS = 15.0
"""Between looks for what no hint told of; jittered. An idle engine asks two statements then."""
_SHORTEST_SECONDS = 0.001


class OutboxTaker(PeriodicService):
    """Takes the rows that are ready, batch by batch; woken by hints to the engine that schedules the tenant.

    Every engine looks, in case a hint was lost or nobody schedules the tenant; the database lets one at a
    time take a tenant's rows.
    """

    name = "outbox"

    def __init__(self, database: AsyncDatabase, spawn: Spawn) -> None:
        self._database = database
        self._woken = asyncio.Event()
        self._apart = Apart(database, spawn, "taking the outbox")
        self._due_at: datetime | None = None
        self._has_more = False

    def wake(self) -> None:
        self._woken.set()

    async def tick(self) -> bool:
        self._woken.clear()
        now = datetime.now(UTC)
        self._has_more = False
        await self._apart.run(lambda chosen: self._take(chosen, now))
        return self._has_more

    async def wait(self) -> None:
        seconds = INTERVAL_SECONDS * random.uniform(0.9, 1.1)
        if self._due_at is not None:
            left = (self._due_at - datetime.now(UTC)).total_seconds()
            seconds = min(seconds, max(_SHORTEST_SECONDS, left))
        await is_woken(self._woken, seconds)

    async def _take(self, chosen: Chosen, now: datetime) -> int:
        only, but = chosen.only, chosen.but

        async def take(ids: Sequence[UUID] | None) -> int:
            taken = await chosen.run(take_outbox(now, ids, only=only, but=but))
            for row in taken.refused:
                log.error("outbox: %s cannot be carried out: %s", row.id, row.failure)
            self._tell(taken.refused)
            self._due_at = taken.next_due_at
            # What breaks is looked for in parts, which say little of the whole.
            self._has_more |= taken.has_more or ids is not None
            return taken.rows

        async def ready() -> list[UUID]:
            ids = outbox.ready_ids(MOST_OF_EACH, only=only, but=but)
            return await self._database.fetch(ids)

        async def set_aside(wish_id: UUID, error: Exception) -> None:
            self._tell(await self._database.run(set_wish_aside(wish_id, cause_of(error), now)))

        return await work_off("outbox", take, ready, set_aside)

    @staticmethod
    def _tell(refused: Sequence[Refused]) -> None:
        for row in refused:
            about = {"tenant_id": row.tenant_id, "row_id": row.id, "cause": row.failure}
            telemetry.emit("outbox.refused", {}, about)
