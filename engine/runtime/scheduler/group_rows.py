"""The rows of those who wait in concurrency groups, read some at a time.

All of them are in the memory of the tenant's owner, and there may be very many: nothing else waits while
they are read, and of those who are known by then no more than their ids is read again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import psycopg

from engine.domain.assignment import ReadyTask
from engine.domain.scheduler.machine import TenantScheduler
from engine.errors import Unavailable
from engine.operations.rebuild_scheduler import load_in_groups, load_unknown_in_groups
from engine.runtime.loops.outages import note_unreachable
from engine.store.async_db import AsyncDatabase
from engine.store.query import Operation
from engine.store.queues import FIRST_PLACE, QueuePlace

log = logging.getLogger("hatchet.scheduler")

_Load = Callable[[UUID, QueuePlace, int], Operation[tuple[list[ReadyTask], QueuePlace | None]]]

ROWS_AT_ONCE = 500
"""Taking them must not hold up the event loop for more than a few milliseconds."""

_RETRY_SECONDS = 0.5
_LONGEST_COMMIT = timedelta(minutes=1)
"""How long after its time of queueing a row may become visible, clocks that differ included."""


class GroupRows:
    """Reads into one scheduler's memory who waits in groups.

    `wanted` leaves out who may not wait now, `on_known` hands out what became possible.
    """

    def __init__(
        self,
        database: AsyncDatabase,
        tenant_id: UUID,
        machine: TenantScheduler,
        *,
        wanted: Callable[[Sequence[ReadyTask]], Sequence[ReadyTask]],
        on_known: Callable[[], None],
    ) -> None:
        self._database, self._tenant_id = database, tenant_id
        self._machine, self._wanted, self._on_known = machine, wanted, on_known
        self._known_until: datetime | None = None
        self._reading = asyncio.Lock()
        self._background: asyncio.Task[None] | None = None
        self._is_poll_asked = False
        self.is_dropped = False
        """The memory is not the owner's any more: stop."""

    def load(self) -> None:
        """Read all in the background, and let nobody have a slot before; the memory is new."""
        self._machine.groups.freeze()
        name = f"reading who waits in groups of tenant {self._tenant_id}"
        self._background = asyncio.create_task(self._load(), name=name)

    async def _load(self) -> None:
        waiting = await self._with_retries(self._read_all)
        if not self.is_dropped:
            self._machine.groups.thaw()
            self._on_known()
            self._machine.batches.leave_out(waiting)

    def poll(self) -> None:
        """Read in the background those who were queued since the last reading and are not known.

        Before all were read once that is left to `load`.
        """
        if self._known_until is None:
            return
        self._is_poll_asked = True
        if self._background is None or self._background.done():
            name = f"reading who came to wait in groups of tenant {self._tenant_id}"
            self._background = asyncio.create_task(self._poll(), name=name)

    async def _poll(self) -> None:
        while self._is_poll_asked and not self.is_dropped:
            self._is_poll_asked = False
            if await self._with_retries(self._read_new):
                self._on_known()

    async def read_again(self) -> None:
        """Read all who are not known, whenever they were queued; `load` comes first."""
        if self._background is not None:
            await self._read_unknown(FIRST_PLACE)

    async def _with_retries(self, read: Callable[[], Awaitable[list[UUID]]]) -> list[UUID]:
        """Read again after failures, until the memory is not wanted any more."""
        while not self.is_dropped:
            try:
                return await read()
            except (Unavailable, psycopg.Error) as error:
                note_unreachable(f"tenant {self._tenant_id}: groups were not read yet", error)
            except Exception:
                log.exception("tenant %s: reading who waits in groups failed", self._tenant_id)
            await asyncio.sleep(_RETRY_SECONDS)
        return []

    async def _read_all(self) -> list[UUID]:
        return await self._read(FIRST_PLACE, load_in_groups)

    async def _read_new(self) -> list[UUID]:
        assert self._known_until is not None
        place = QueuePlace(self._known_until - _LONGEST_COMMIT, UUID(int=0))
        return await self._read_unknown(place)

    async def _read_unknown(self, place: QueuePlace) -> list[UUID]:
        return await self._read(place, partial(load_unknown_in_groups, self._machine.knows))

    async def _read(self, place: QueuePlace | None, load: _Load) -> list[UUID]:
        """Take note of who waits from a place on; return who was loaded."""
        endings = self._machine.groups.endings
        found: list[UUID] = []
        async with self._reading:
            endings.watch()
            try:
                began = datetime.now(UTC)
                while place is not None:
                    tasks, place = await self._database.run(
                        load(self._tenant_id, place, ROWS_AT_ONCE)
                    )
                    if self.is_dropped:
                        return found
                    self._machine.enqueue(self._wanted(tasks))
                    found += [task.id for task in tasks]
                self._known_until = began
            finally:
                endings.forget()
        return found
