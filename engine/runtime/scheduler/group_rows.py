"""The rows of those who wait in concurrency groups, read some at a time.

All of them are in the memory of the tenant's owner, and there may be very many: nothing else waits while
they are read, and what was read before is not read again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
from psycopg_pool import PoolTimeout

from engine.domain.assignment import ReadyTask
from engine.domain.scheduler.machine import TenantScheduler
from engine.operations.rebuild_scheduler import load_in_groups
from engine.store.async_db import AsyncDatabase
from engine.store.queues import FIRST_PLACE, QueuePlace

log = logging.getLogger("hatchet.scheduler")

ROWS_AT_ONCE = 500
"""Taking them must not hold up the event loop for more than a few milliseconds."""

_RETRY_SECONDS = 0.5
_LONGEST_COMMIT = timedelta(minutes=1)
"""How long after its time of queueing a row may become visible, clocks that differ included."""


class GroupRows:
    """Reads into one scheduler's memory who waits in groups; `wanted` leaves out who may not wait now."""

    def __init__(
        self,
        database: AsyncDatabase,
        tenant_id: UUID,
        machine: TenantScheduler,
        wanted: Callable[[Sequence[ReadyTask]], Sequence[ReadyTask]],
    ) -> None:
        self._database, self._tenant_id = database, tenant_id
        self._machine, self._wanted = machine, wanted
        self._known_until: datetime | None = None
        self._reading = asyncio.Lock()
        self._loading: asyncio.Task[None] | None = None
        self.is_dropped = False
        """The memory is not the owner's any more: stop."""

    def load(self, on_known: Callable[[], None]) -> None:
        """Read all in the background, and let nobody have a slot before; the memory is new."""
        self._machine.groups.freeze()
        name = f"reading who waits in groups of tenant {self._tenant_id}"
        self._loading = asyncio.create_task(self._load(on_known), name=name)

    async def _load(self, on_known: Callable[[], None]) -> None:
        waiting: list[UUID] | None = None
        while waiting is None and not self.is_dropped:
            try:
                async with self._reading:
                    waiting = await self._read(None)
            except (psycopg.Error, PoolTimeout, OSError) as error:
                log.warning("tenant %s: groups were not read yet: %s", self._tenant_id, error)
                await asyncio.sleep(_RETRY_SECONDS)
            except Exception:
                log.exception("tenant %s: reading who waits in groups failed", self._tenant_id)
                await asyncio.sleep(_RETRY_SECONDS)
        if not self.is_dropped:
            self._machine.groups.thaw()
            on_known()
            self._machine.batches.unnote(waiting or ())

    async def poll(self, *, all_again: bool = False) -> None:
        """Read those who were queued since the last reading, or all, unless somebody is at it.

        Before all were read once that is left to `load`, for which nothing else waits.
        """
        if self._known_until is not None and not self._reading.locked():
            async with self._reading:
                await self._read(None if all_again else self._known_until)

    async def _read(self, since: datetime | None) -> list[UUID]:
        endings = self._machine.groups.endings
        found: list[UUID] = []
        endings.watch()
        try:
            began = datetime.now(UTC)
            place: QueuePlace | None = FIRST_PLACE
            if since is not None:
                place = QueuePlace(since - _LONGEST_COMMIT, UUID(int=0))
            while place is not None:
                tasks, place = await self._database.run(
                    load_in_groups(self._tenant_id, place, ROWS_AT_ONCE)
                )
                if self.is_dropped:
                    return found
                self._machine.enqueue(self._wanted(tasks))
                found += [task.id for task in tasks]
            self._known_until = began
        finally:
            endings.forget()
        return found
