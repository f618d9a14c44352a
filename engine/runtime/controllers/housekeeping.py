"""Keeps the tables in shape: partitions ahead of time, compact counts, old traces gone."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from engine.domain.rate_limits import IDLE_SECONDS
from engine.ids import id_at
from engine.operations.purge_tenants import purge_tenants
from engine.runtime.loops.isolation import each_alone
from engine.runtime.loops.periodic import PeriodicService
from engine.store import (
    answered_requests,
    bulk_actions,
    crons,
    ended_waits,
    error_groups,
    filters,
    housekeeping,
    idempotency,
    log_lines,
    outbox,
    rate_limits,
)
from engine.store.async_db import AsyncDatabase

log = logging.getLogger("hatchet.controllers")

_PURGE_SECONDS = 10.0
"""So much of every minute goes into the rows of deleted tenants, and no more."""
_FAILURES_KEPT = timedelta(days=7)
_MISSES_KEPT = _ACTIONS_KEPT = _REFUSED_KEPT = timedelta(days=30)
_ENDED_WAITS_KEPT = _FAILED_KEPT = timedelta(days=30)
_ERRORS_KEPT = timedelta(days=90)


class Housekeeping(PeriodicService):
    """Keeps the tables in shape; any engine may do it, twice does no harm."""

    name = "housekeeping"
    interval_seconds = 60.0

    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database
        self._turns = 0

    async def tick(self) -> bool:
        """Do what is due now; one job that fails keeps nothing from the others."""
        jobs = [
            self._compact_tallies,
            self._release_keys,
            self._purge_tenants,
            self._forget_answers,
        ]
        if self._turns % 60 == 0:
            jobs += [self._ensure_partitions, self._forget_the_old, self._forget_idle_limits]
            jobs += [self._drop_log_tallies]
        self._turns += 1
        for job in jobs:
            await each_alone(job.__name__.strip("_"), [job], lambda run: run())
        return False

    async def _compact_tallies(self) -> None:
        await self._database.fetch(housekeeping.compact_tallies())
        await self._database.fetch(log_lines.compact_tallies())

    async def _drop_log_tallies(self) -> None:
        await self._database.fetch(log_lines.drop_tallies())

    async def _release_keys(self) -> None:
        await self._database.fetch(idempotency.delete_expired(datetime.now(UTC)))
        await self._database.fetch(outbox.forget_keys(datetime.now(UTC)))

    async def _purge_tenants(self) -> None:
        clock = asyncio.get_running_loop().time
        until = clock() + _PURGE_SECONDS
        while await self._database.run(purge_tenants(datetime.now(UTC))) and clock() < until:
            pass

    async def _ensure_partitions(self) -> None:
        for name in await self._database.fetch(housekeeping.ensure_partitions()):
            log.error("partition %s could not be made: its rows are in the default one", name)

    async def _forget_the_old(self) -> None:
        now = datetime.now(UTC)
        await self._database.fetch(filters.forget_failures(id_at(now - _FAILURES_KEPT)))
        await self._database.fetch(crons.forget_misses(id_at(now - _MISSES_KEPT)))
        await self._database.fetch(ended_waits.forget(id_at(now - _ENDED_WAITS_KEPT)))
        await self._database.fetch(error_groups.forget_attempts(id_at(now - _FAILED_KEPT)))
        await self._database.fetch(error_groups.forget_tallies(now - _FAILED_KEPT))
        await self._database.fetch(error_groups.forget(now - _ERRORS_KEPT))
        await self._database.fetch(bulk_actions.forget(id_at(now - _ACTIONS_KEPT)))
        await self._database.fetch(outbox.forget(now - _REFUSED_KEPT))

    async def _forget_answers(self) -> None:
        await self._database.fetch(answered_requests.delete_expired(datetime.now(UTC)))

    async def _forget_idle_limits(self) -> None:
        idle_since = datetime.now(UTC) - timedelta(seconds=IDLE_SECONDS)
        await self._database.fetch(rate_limits.forget_idle(idle_since))
