"""Compares what the schedulers remember with the rows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from engine.runtime.loops.isolation import each_alone
from engine.runtime.loops.periodic import PeriodicService, is_woken
from engine.runtime.scheduler.owner import TenantOwner
from engine.store import lost_tasks, queues, run_slots
from engine.store.async_db import AsyncDatabase

log = logging.getLogger("hatchet.controllers")

_AUDITED_AT_ONCE = 1000
_SECOND_LOOK_SECONDS = 5.0
"""From an audit that suspects something to the next: what is under way arrives much sooner."""


class Auditor(PeriodicService):
    """Compares the schedulers' memory with the rows: what ended unnoticed gives its slot back."""

    name = "auditor"
    interval_seconds = 60.0

    def __init__(self, database: AsyncDatabase, owners: dict[UUID, TenantOwner]) -> None:
        self._database, self._owners = database, owners
        self._suspects: set[tuple[UUID, int]] = set()
        self._suspected_runs: set[tuple[UUID, UUID]] = set()
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Hints may have been lost: look now."""
        self._woken.set()

    async def wait(self) -> None:
        has_suspects = self._suspects or self._suspected_runs
        seconds = _SECOND_LOOK_SECONDS if has_suspects else self.interval_seconds
        await is_woken(self._woken, seconds)

    async def tick(self) -> bool:
        """An attempt is freed when two audits in a row find that it does not run."""
        self._woken.clear()
        found: set[tuple[UUID, int]] = set()

        async def look(owner: TenantOwner) -> None:
            found.update(await self._audit_attempts(owner))

        await each_alone("auditing slots", list(self._owners.values()), look)
        self._suspects = found
        await self._audit_runs()
        return False

    async def _audit_attempts(self, owner: TenantOwner) -> set[tuple[UUID, int]]:
        """Return what holds slots and does not run; free what did so the last time."""
        held = [
            attempt
            for worker_id in owner.machine.workers.with_tasks()
            for attempt in owner.machine.workers.running_on(worker_id)
        ]
        running = set(await self._database.fetch(lost_tasks.still_running(held))) if held else set()
        lost = [attempt for attempt in held if attempt[0] not in running]
        if in_groups := owner.machine.groups.attempts():
            live = await self._live(in_groups)
            lost += [attempt for attempt in in_groups if attempt[0] not in live]
        freed = [attempt for attempt in dict.fromkeys(lost) if attempt in self._suspects]
        for task_id, _ in freed:
            log.error("task %s held a slot after it ended; freed", task_id)
        if freed:
            owner.end(freed)
            owner.drain(datetime.now(UTC).timestamp())
        return set(lost)

    async def _live(self, attempts: Sequence[tuple[UUID, int]]) -> set[UUID]:
        live: set[UUID] = set()
        for start in range(0, len(attempts), _AUDITED_AT_ONCE):
            part = attempts[start : start + _AUDITED_AT_ONCE]
            live.update(await self._database.fetch(queues.still_live(part)))
        return live

    async def _audit_runs(self) -> None:
        """The same for runs in concurrency groups."""
        found: set[tuple[UUID, UUID]] = set()

        async def look(owner: TenantOwner) -> None:
            known = [(run_id, UUID(int=arrival)) for run_id, arrival in owner.machine.groups.runs()]
            if not known:
                return
            rows = await self._database.fetch(run_slots.arrivals([run_id for run_id, _ in known]))
            ended = set(known) - {(row.run_id, row.arrival) for row in rows}
            found.update(ended)
            freed = ended & self._suspected_runs
            for run_id, arrival in freed:
                log.error("run %s held a slot after it ended; freed", run_id)
                owner.end_run(run_id, arrival)
            if freed:
                owner.drain(datetime.now(UTC).timestamp())

        await each_alone("auditing runs", list(self._owners.values()), look)
        self._suspected_runs = found
