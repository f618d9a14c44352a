"""Clears what is older than tenants keep it, beside everything else and never in its way."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from time import perf_counter
from uuid import UUID

from engine import telemetry
from engine.errors import LostRace
from engine.operations.retention.clear import (
    Dropped,
    drop_day,
    expire_audit,
    expire_sessions,
    sweep_rows,
)
from engine.operations.retention.kinds import Kind, Shelf, Sweep, by, kinds
from engine.operations.retention.periods import cutoffs_of, day_of, expired_days
from engine.retention_config import RetentionConfig
from engine.runtime.loops.isolation import each_alone
from engine.runtime.loops.periodic import PeriodicService
from engine.store import retention
from engine.store.async_db import AsyncDatabase
from engine.store.retention import Cutoffs, Day, PeriodRow

BATCH = 500
_AUDIT_BATCH = 50_000
_WORKERS_KEPT = timedelta(days=1)
_REST = 4.0
"""After each piece it rests for so many times as long as that took: others notice little of it."""
_LONGEST_REST_SECONDS = 30.0

Piece = Callable[[], Awaitable[bool]]
"""One transaction's worth of work; True if the same is to be done again."""


class Retention(PeriodicService):
    """Goes through all kinds, a piece a tick. Any engine may do it; one at a time does.

    What cannot be had at once, because somebody is working with it, is left to the next round.
    """

    name = "retention"
    interval_seconds = 600.0

    def __init__(
        self,
        database: AsyncDatabase,
        config: RetentionConfig,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database, self._config, self._clock = database, config, clock
        self._pieces: deque[Piece] = deque()
        self._postponed: set[str] = set()
        self._is_begun = False

    async def tick(self) -> bool:
        if not self._is_begun:  # engines that start together spread
            self._is_begun = True
            return False
        if not self._pieces:
            self._pieces.extend(await self.plan())
        began = perf_counter()
        is_again = False

        async def go_on(piece: Piece) -> None:
            nonlocal is_again
            is_again = await piece()

        with suppress(LostRace):
            await each_alone("clearing what is old", [self._pieces[0]], go_on)
        if not is_again:
            self._pieces.popleft()
        await asyncio.sleep(min(_LONGEST_REST_SECONDS, _REST * (perf_counter() - began)))
        return bool(self._pieces)

    async def plan(self) -> list[Piece]:
        """Return the pieces of a round: first the days, which cost little, then single rows."""
        now = self._clock()
        self._postponed.clear()
        pieces: list[Piece] = [
            partial(self._expire_sessions, now),
            partial(self._expire_audit, day_of(now, timedelta(days=self._config.audit_days))),
        ]
        if not self._config.is_enabled:
            return pieces
        rows = await self._database.fetch(retention.periods())
        sweeps: list[Piece] = []
        for kind in kinds():
            cutoffs = cutoffs_of(kind.name, rows, self._config, now)
            for shelf in kind.shelves:
                days = await self._database.fetch(retention.days(shelf.tables))
                pieces += [
                    partial(self._drop, kind, shelf, day) for day in expired_days(days, cutoffs)
                ]
            sweeps += [_Sweeping(self._sweep, kind, sweep, cutoffs).go_on for sweep in kind.sweeps]
        if self._config.removes_workers_early:
            sweeps.append(self._early_workers(rows, now))
        return pieces + sweeps

    def _early_workers(self, rows: Sequence[PeriodRow], now: datetime) -> Piece:
        (kind,) = (kind for kind in kinds() if kind.name == "runs")
        cutoffs = cutoffs_of(kind.name, rows, self._config, now)
        before_times = [now - _WORKERS_KEPT] * len(cutoffs.tenant_ids)
        sweep = by(retention.remove_workers)
        return _Sweeping(
            self._sweep, kind, sweep, cutoffs._replace(before_times=before_times)
        ).go_on

    async def _drop(self, kind: Kind, shelf: Shelf, day: Day) -> bool:
        try:
            became = await self._database.run(drop_day(shelf, day))
        except LostRace:
            self._postponed.add(kind.name)
            raise
        if became is Dropped.GONE:
            metadata = {"kind": kind.name, "tables": ", ".join(shelf.tables), "day": day.name}
            telemetry.emit("retention.dropped", {}, metadata)
        return False

    async def _sweep(
        self, kind: Kind, sweep: Sweep, cutoffs: Cutoffs, after: UUID
    ) -> tuple[int, UUID | None]:
        """Rows of a day whose tables were in use are left to the next round: it may go as a whole then."""
        if kind.name in self._postponed:
            return 0, None
        removed, last = await self._database.run(sweep_rows(sweep, cutoffs, after, BATCH))
        if removed:
            telemetry.emit("retention.removed", {"rows": removed}, {"kind": kind.name})
        return removed, last

    async def _expire_sessions(self, now: datetime) -> bool:
        return await self._database.run(expire_sessions(now, BATCH)) == BATCH

    async def _expire_audit(self, before: datetime) -> bool:
        return await self._database.run(expire_audit(before, _AUDIT_BATCH)) == _AUDIT_BATCH


class _Sweeping:
    """How far a sweep has come."""

    def __init__(
        self,
        run: Callable[[Kind, Sweep, Cutoffs, UUID], Awaitable[tuple[int, UUID | None]]],
        kind: Kind,
        sweep: Sweep,
        cutoffs: Cutoffs,
    ) -> None:
        self._run = partial(run, kind, sweep, cutoffs)
        self._after = UUID(int=0)

    async def go_on(self) -> bool:
        """Do one batch; where nothing was found any more, nothing is left."""
        _, last = await self._run(self._after)
        if last is None:
            return False
        self._after = last
        return True
