"""Slow loops: partitions ahead of time, compact counts, and polls for hints that were lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from engine.domain.rate_limits import IDLE_SECONDS
from engine.ids import id_at
from engine.runtime.aftermath import Aftermath
from engine.runtime.controllers.periodic import PeriodicService, is_woken
from engine.runtime.dispatcher.assigning import Assigning
from engine.runtime.dispatcher.sessions import Sessions
from engine.runtime.isolation import each_alone
from engine.runtime.notifier import Notifier
from engine.runtime.scheduler.owner import TenantOwner
from engine.runtime.streaming import Streaming
from engine.store import (
    crons,
    filters,
    housekeeping,
    idempotency,
    lost_tasks,
    queues,
    rate_limits,
    run_slots,
)
from engine.store.async_db import AsyncDatabase

log = logging.getLogger("hatchet.controllers")

_AWAITED_AT_ONCE = 1000
_RULES_EVERY = 3
"""Slow polls from one look at pauses, limits and strategies to the next; they rarely change."""
_AUDITED_AT_ONCE = 1000
_SECOND_LOOK_SECONDS = 5.0
"""From an audit that suspects something to the next: what is under way arrives much sooner."""
_FAILURES_KEPT, _MISSES_KEPT = timedelta(days=7), timedelta(days=30)


class Housekeeping(PeriodicService):
    """Keeps the tables in shape; any engine may do it, twice does no harm."""

    name = "housekeeping"
    interval_seconds = 60.0

    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database
        self._turns = 0

    async def tick(self) -> bool:
        """Do what is due now; one job that fails keeps nothing from the others."""
        jobs = [self._compact_tallies, self._release_keys]
        if self._turns % 60 == 0:
            jobs += [self._ensure_partitions, self._forget_the_old, self._forget_idle_limits]
        self._turns += 1
        for job in jobs:
            await each_alone(job.__name__.strip("_"), [job], lambda run: run())
        return False

    async def _compact_tallies(self) -> None:
        await self._database.fetch(housekeeping.compact_tallies())

    async def _release_keys(self) -> None:
        await self._database.fetch(idempotency.delete_expired(datetime.now(UTC)))

    async def _ensure_partitions(self) -> None:
        for name in await self._database.fetch(housekeeping.ensure_partitions()):
            log.error("partition %s could not be made: its rows are in the default one", name)

    async def _forget_the_old(self) -> None:
        now = datetime.now(UTC)
        await self._database.fetch(filters.forget_failures(id_at(now - _FAILURES_KEPT)))
        await self._database.fetch(crons.forget_misses(id_at(now - _MISSES_KEPT)))

    async def _forget_idle_limits(self) -> None:
        idle_since = datetime.now(UTC) - timedelta(seconds=IDLE_SECONDS)
        await self._database.fetch(rate_limits.forget_idle(idle_since))


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
        for task_id, retry_count in dict.fromkeys(lost):
            if (task_id, retry_count) in self._suspects:
                log.error("task %s held a slot after it ended; freed", task_id)
                owner.end(task_id, retry_count)
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
            for run_id, arrival in set(known) - {(row.run_id, row.arrival) for row in rows}:
                found.add((run_id, arrival))
                if (run_id, arrival) in self._suspected_runs:
                    log.error("run %s held a slot after it ended; freed", run_id)
                    owner.end_run(run_id, arrival)

        await each_alone("auditing runs", list(self._owners.values()), look)
        self._suspected_runs = found


class SlowPoll(PeriodicService):
    """What a lost hint would have said is found here, seconds later."""

    name = "slow poll"
    interval_seconds = 10.0

    def __init__(
        self,
        aftermath: Aftermath,
        assigning: Assigning,
        streaming: Streaming,
        *,
        sessions: Sessions,
        notifier: Notifier,
        owners: dict[UUID, TenantOwner],
    ) -> None:
        self._aftermath, self._assigning, self._streaming = aftermath, assigning, streaming
        self._sessions, self._notifier, self._owners = sessions, notifier, owners
        self._turns = 0

    async def tick(self) -> bool:
        await each_alone("polling a tenant", list(self._owners.values()), self._poll)
        if self._notifier.has_peers and (workers := self._sessions.workers()):
            await self._assigning.deliver_assigned(workers)
        for tenant_id, run_ids in self._aftermath.subscriptions.pending().items():
            for start in range(0, len(run_ids), _AWAITED_AT_ONCE):
                part = run_ids[start : start + _AWAITED_AT_ONCE]
                await self._aftermath.deliver_finished(tenant_id, part)
        await self._streaming.settle_all()
        self._turns += 1
        return False

    async def _poll(self, owner: TenantOwner) -> None:
        if self._turns % _RULES_EVERY == 0:
            await owner.reload_rules()
            await owner.reload_limits()
        owner.note_backlog()
        await owner.reload_workers()
        await owner.refill()
