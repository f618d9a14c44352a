"""From the scheduler's decision to cancel a task for its concurrency groups to what follows from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from engine.domain.assignment import ReadyTask, RunClaims
from engine.errors import LeaseLost
from engine.operations.cancel_tasks import cancel_superseded
from engine.runtime.loops.batcher import Batcher
from engine.runtime.scheduler.owner import TenantOwner
from engine.store.async_db import AsyncDatabase


class _Verdict(NamedTuple):
    """`epoch` is the one it was decided under: after a rebuild the decision means nothing."""

    owner: TenantOwner
    loser: ReadyTask | RunClaims
    epoch: int


class Cancellations:
    """Cancels, in batches, the attempts and whole runs for which a concurrency strategy has no place."""

    def __init__(
        self,
        database: AsyncDatabase,
        *,
        on_lease_lost: Callable[[TenantOwner], None],
        on_outage: Callable[[], None],
    ) -> None:
        self._database = database
        self._on_lease_lost = on_lease_lost
        self.batcher: Batcher[_Verdict, None] = Batcher(
            "cancellations",
            self._flush,
            on_outage=on_outage,
            tenant_of=lambda verdict: verdict.owner.tenant_id,
            max_waiting=1_000_000,
        )

    def cancel(
        self, owner: TenantOwner, cancelled: Sequence[ReadyTask], runs: Sequence[RunClaims]
    ) -> None:
        losers: list[ReadyTask | RunClaims] = [*cancelled, *runs]
        for loser in losers:
            self.batcher.put(_Verdict(owner, loser, owner.epoch))

    async def _flush(self, verdicts: Sequence[_Verdict]) -> list[None]:
        current = [v for v in verdicts if v.owner.is_ready and v.epoch == v.owner.epoch]
        if current:
            await self._write(current)
        return [None] * len(verdicts)

    async def _write(self, verdicts: Sequence[_Verdict]) -> None:
        attempts: dict[UUID, list[tuple[UUID, int]]] = defaultdict(list)
        runs: list[tuple[UUID, UUID]] = []
        owners = {verdict.owner.tenant_id: verdict.owner for verdict in verdicts}
        for verdict in verdicts:
            loser = verdict.loser
            if isinstance(loser, RunClaims):
                runs.append((UUID(int=loser.id), UUID(int=loser.arrival)))
            else:
                attempts[verdict.owner.tenant_id].append((loser.id, loser.retry_count))
        epochs = {tenant_id: owner.epoch for tenant_id, owner in owners.items()}
        try:
            await self._database.run(cancel_superseded(attempts, epochs, datetime.now(UTC), runs))
        except LeaseLost:
            for owner in owners.values():
                self._on_lease_lost(owner)
            return
        for verdict in verdicts:
            # Also what ended by itself meanwhile: its slots are free in any case.
            loser = verdict.loser
            if isinstance(loser, RunClaims):
                verdict.owner.end_run(UUID(int=loser.id), UUID(int=loser.arrival))
            else:
                verdict.owner.end([(loser.id, loser.retry_count)])
        now = datetime.now(UTC).timestamp()
        for owner in owners.values():
            owner.drain(now)
