"""Which tenants this engine schedules: leases are renewed, shared evenly, taken over and given up."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple
from uuid import UUID

import psycopg

from engine import telemetry
from engine.domain.assignment import ReadyTask, RunClaims
from engine.domain.scheduler.limits import Refused
from engine.domain.scheduler.machine import Assignment
from engine.errors import NotSent, Unavailable
from engine.runtime.loops.outages import Outage, is_outage, note_unreachable
from engine.runtime.loops.periodic import is_woken
from engine.runtime.scheduler.owner import TenantOwner
from engine.store import leases
from engine.store.async_db import AsyncDatabase
from engine.store.leases import LEASE_SECONDS, SurveyRow

log = logging.getLogger("hatchet.scheduler")

_RENEW_SECONDS = 1.0
_RENEW_AT_START_SECONDS = 0.2
_REBUILD_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 60.0


class Peers(NamedTuple):
    """The other engines: another `identity` when one has come or gone; `are_there` if there may be any."""

    identity: int
    are_there: bool


class Ownership:
    """Keeps the leases of this engine and one TenantOwner for each."""

    def __init__(
        self,
        database: AsyncDatabase,
        engine_id: UUID,
        host: str,
        *,
        on_assign: Callable[[TenantOwner, Sequence[Assignment]], None],
        on_cancel: Callable[[TenantOwner, Sequence[ReadyTask], Sequence[RunClaims]], None],
        on_moved: Callable[[Sequence[ReadyTask]], None],
        on_refused: Callable[[Sequence[Refused]], None],
        on_rebuilt: Callable[[TenantOwner], Awaitable[None]],
        on_peers: Callable[[Peers], None],
    ) -> None:
        self.owners: dict[UUID, TenantOwner] = {}
        self._database = database
        self._engine_id, self._host = engine_id, host
        self._on_cancel, self._on_moved, self._on_refused = on_cancel, on_moved, on_refused
        self._on_assign, self._on_rebuilt, self._on_peers = on_assign, on_rebuilt, on_peers
        self._to_rebuild: dict[UUID, float] = {}
        """When to try, by tenant."""
        self._failed_rebuilds: defaultdict[UUID, int] = defaultdict(int)
        self._wake_rebuild = asyncio.Event()
        self._renewed_at = 0.0
        self._has_peers = True
        self._is_stopping = False

    async def run(self) -> None:
        """Renew once a second, for ever.

        More often at the start: what another engine held before it died becomes free then.
        """
        loop = asyncio.get_running_loop()
        start_until = loop.time() + LEASE_SECONDS
        outage = Outage("leases", "leases were not renewed")
        while True:
            try:
                await self.renew()
                outage.end()
            except (Unavailable, psycopg.Error) as error:
                outage.note(error)
                if not isinstance(error, NotSent):
                    self.invalidate_all()
                self._fence()
            is_starting = not self.owners and loop.time() < start_until
            await asyncio.sleep(_RENEW_AT_START_SECONDS if is_starting else _RENEW_SECONDS)

    async def renew(self) -> None:
        """Renew our leases, notice lost ones, take free ones up to our even share."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        survey = leases.renew_and_survey(self._engine_id, self._host, has_peers=self._has_peers)
        rows = await self._database.run(survey)
        self._renewed_at = asked_at
        engine_count = rows[0].engine_count
        listed = [row for row in rows if row.tenant_id is not None]
        owns_all = all(row.engine_id == self._engine_id for row in listed)
        # A tenant that is not ours may get an engine that we have not heard of yet.
        self._has_peers = engine_count > 1 or not owns_all
        self._on_peers(Peers(rows[0].peers, are_there=self._has_peers))
        ours = {row.tenant_id: row.epoch for row in listed if row.engine_id == self._engine_id}
        for tenant_id, owner in list(self.owners.items()):
            if ours.get(tenant_id) != owner.epoch:
                self.drop(owner)
        if self._is_stopping:
            return
        share = math.ceil(len(listed) / engine_count)
        await self._take_free(listed, max(share - len(self.owners), 0))
        await self._share(listed, share)

    async def _take_free(self, listed: Sequence[SurveyRow], limit: int) -> None:
        """Take free tenants, and anew those whose lease we hold without scheduling them."""
        free = [
            row.tenant_id
            for row in listed
            if row.tenant_id is not None
            and row.tenant_id not in self.owners
            and (row.is_free or row.engine_id == self._engine_id)
        ]
        free, surplus = free[:limit], free[limit:]
        held = {row.tenant_id for row in listed if row.engine_id == self._engine_id}
        if unwanted := [tenant_id for tenant_id in surplus if tenant_id in held]:
            await self._database.fetch(leases.give_up(self._engine_id, unwanted))
        if not free:
            return
        unleased = {row.tenant_id for row in listed if row.epoch == 0}
        new = [tenant_id for tenant_id in free if tenant_id in unleased]
        if new:
            await self._database.fetch(leases.make(new))
        for row in await self._database.fetch(leases.take(self._engine_id, free)):
            self._adopt(row.tenant_id, row.epoch)

    async def _share(self, listed: Sequence[SurveyRow], share: int) -> None:
        """Give up what is beyond our share, so that an engine that joined gets its part."""
        surplus = list(self.owners.values())[share:]
        if surplus and all(not row.is_free for row in listed):
            for owner in surplus:
                self.drop(owner, is_given_up=True)
            tenant_ids = [owner.tenant_id for owner in surplus]
            await self._database.fetch(leases.give_up(self._engine_id, tenant_ids))

    def _adopt(self, tenant_id: UUID, epoch: int) -> None:
        owner = TenantOwner(
            tenant_id,
            epoch,
            self._database,
            self._on_assign,
            self._on_cancel,
            self._on_moved,
            self._on_refused,
        )
        self.owners[tenant_id] = owner
        self._to_rebuild[tenant_id] = 0.0
        self._wake_rebuild.set()
        telemetry.emit("lease.taken", {}, self._lease(owner))

    def drop(self, owner: TenantOwner, *, is_given_up: bool = False) -> None:
        """Stop scheduling a tenant: its lease is no longer ours, or will be given up."""
        owner.drop()
        if self.owners.get(owner.tenant_id) is owner:
            del self.owners[owner.tenant_id]
            if is_given_up:
                telemetry.emit("lease.given_up", {}, self._lease(owner))
            else:
                telemetry.emit("lease.lost", {}, self._lease(owner))

    def _lease(self, owner: TenantOwner) -> telemetry.Metadata:
        return {
            "tenant_id": owner.tenant_id,
            "engine_id": self._engine_id,
            "epoch": owner.epoch,
        }

    def invalidate_all(self) -> None:
        """It is unknown whether a write was done: rebuild every scheduler from the rows."""
        for owner in self.owners.values():
            self.invalidate(owner)

    def invalidate(self, owner: TenantOwner) -> None:
        """What this scheduler remembers may be wrong: rebuild it from the rows."""
        owner.reset()
        self._to_rebuild[owner.tenant_id] = 0.0
        self._wake_rebuild.set()

    def _fence(self) -> None:
        """Schedule nothing once our leases may have run out without a word from the database."""
        if asyncio.get_running_loop().time() - self._renewed_at > LEASE_SECONDS:
            for owner in list(self.owners.values()):
                self.drop(owner)

    def stop_scheduling(self) -> None:
        """Assign nothing more; the leases are kept until `give_up`."""
        self._is_stopping = True
        for owner in list(self.owners.values()):
            self.drop(owner, is_given_up=True)

    async def rebuild_loop(self) -> None:
        """Rebuild schedulers as they are taken over or invalidated.

        One whose rows cannot be read is tried less and less often, and keeps none of the others waiting.
        """
        loop = asyncio.get_running_loop()
        while True:
            soonest = min(self._to_rebuild.values(), default=math.inf)
            await is_woken(self._wake_rebuild, min(soonest - loop.time(), _LONGEST_PAUSE_SECONDS))
            self._wake_rebuild.clear()
            now = loop.time()
            for tenant_id in [t for t, at in self._to_rebuild.items() if at <= now]:
                del self._to_rebuild[tenant_id]
                pause = await self._try_to_rebuild(tenant_id)
                if pause is not None:
                    self._to_rebuild.setdefault(tenant_id, loop.time() + pause)

    async def _try_to_rebuild(self, tenant_id: UUID) -> float | None:
        """Return in how many seconds to try again; None: it is done."""
        owner = self.owners.get(tenant_id)
        try:
            if owner is None or owner.is_ready or await self._rebuild(owner):
                self._failed_rebuilds.pop(tenant_id, None)
                return None
        except Exception as error:
            if not is_outage(error):
                failures = self._failed_rebuilds[tenant_id] = self._failed_rebuilds[tenant_id] + 1
                log.exception("tenant %s: its rows cannot be scheduled", tenant_id)
                if owner is not None:
                    owner.reset()
                return min(_REBUILD_PAUSE_SECONDS * 2.0**failures, _LONGEST_PAUSE_SECONDS)
            note_unreachable(f"tenant {tenant_id}: not rebuilt yet", error)
        return _REBUILD_PAUSE_SECONDS

    async def _rebuild(self, owner: TenantOwner) -> bool:
        """Read an owner's memory from the rows; False if it has to be done again.

        An invalidated owner takes its lease anew first: a write under the old epoch of which nothing is
        known has then either committed or is refused.
        """
        if owner.needs_new_epoch:
            taken = await self._database.fetch(leases.take(self._engine_id, [owner.tenant_id]))
            if not taken:
                return False
            owner.renew(taken[0].epoch)
        if await owner.rebuild():
            await self._on_rebuilt(owner)
            return True
        return owner.is_dropped

    async def give_up(self) -> None:
        """Free every lease at the end, so that another engine takes over at once."""
        for owner in list(self.owners.values()):
            self.drop(owner, is_given_up=True)
        await self._database.fetch(leases.give_up(self._engine_id, None))
        await self._database.fetch(leases.end_engine(self._engine_id))
