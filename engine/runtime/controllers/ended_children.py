"""Completes the entries of durable tasks whose children ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from engine.operations.durable.satisfy_entries import CHILDREN_AT_ONCE, complete_children
from engine.runtime.durable.routes import Routes
from engine.runtime.loops.isolation import SetAside, work_off
from engine.runtime.loops.periodic import PeriodicService, is_woken
from engine.runtime.scheduler.owner import TenantOwner
from engine.store import durable_entries
from engine.store.async_db import AsyncDatabase

_SLOWEST_SECONDS = 10.0


class EndedChildren(PeriodicService):
    """Runs whenever a child of a durable task ended; now and then it looks without having been told.

    That is a transaction of its own, so that who ends children never waits for the locks of their
    parents. Any engine may do it: what one takes, others pass over.
    """

    name = "ended children"

    def __init__(
        self, database: AsyncDatabase, routes: Routes, owners: dict[UUID, TenantOwner]
    ) -> None:
        self._database, self._routes, self._owners = database, routes, owners
        self._tenants: set[UUID] = set()
        self._set_aside: SetAside[UUID] = SetAside()

    async def tick(self) -> bool:
        self._tenants |= self._routes.take_woken()
        if not self._tenants:
            return False
        tenant_ids, but = sorted(self._tenants), self._set_aside.now()

        async def complete(only: Sequence[UUID] | None) -> int:
            operation = complete_children(tenant_ids, datetime.now(UTC), only, but=but)
            return await self._database.run(operation)

        async def ended() -> list[UUID]:
            query = durable_entries.ended_ids(tenant_ids, CHILDREN_AT_ONCE, but)
            return await self._database.fetch(query)

        async def set_aside(run_id: UUID, error: Exception) -> None:
            self._set_aside.add(run_id)

        count = await work_off("ended children", complete, ended, set_aside)
        if count < CHILDREN_AT_ONCE:
            self._tenants.clear()
        return count == CHILDREN_AT_ONCE

    async def wait(self) -> None:
        if not await is_woken(self._routes.parents_woken, _SLOWEST_SECONDS):
            self._tenants |= set(self._owners)
