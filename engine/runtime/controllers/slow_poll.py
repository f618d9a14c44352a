"""Polls for what hints that were lost would have said."""

from __future__ import annotations

from uuid import UUID

from engine.runtime.dispatcher.sessions import Sessions
from engine.runtime.effects import Effects
from engine.runtime.following.chunks import Streaming
from engine.runtime.hints.notifier import Notifier
from engine.runtime.loops.isolation import each_alone
from engine.runtime.loops.periodic import PeriodicService
from engine.runtime.scheduler.owner import TenantOwner
from engine.runtime.writers.assignments import Assignments

_AWAITED_AT_ONCE = 1000
_RULES_EVERY = 3
"""Slow polls from one look at pauses, limits and strategies to the next; they rarely change."""


class SlowPoll(PeriodicService):
    """What a lost hint would have said is found here, seconds later."""

    name = "slow poll"
    interval_seconds = 10.0

    def __init__(
        self,
        effects: Effects,
        assignments: Assignments,
        streaming: Streaming,
        *,
        sessions: Sessions,
        notifier: Notifier,
        owners: dict[UUID, TenantOwner],
    ) -> None:
        self._effects, self._assignments, self._streaming = effects, assignments, streaming
        self._sessions, self._notifier, self._owners = sessions, notifier, owners
        self._turns = 0

    async def tick(self) -> bool:
        await each_alone("polling a tenant", list(self._owners.values()), self._poll)
        if self._notifier.has_peers and (workers := self._sessions.workers()):
            await self._assignments.deliver_assigned(workers)
        for tenant_id, run_ids in self._effects.subscriptions.pending().items():
            for start in range(0, len(run_ids), _AWAITED_AT_ONCE):
                part = run_ids[start : start + _AWAITED_AT_ONCE]
                await self._effects.deliver_finished(tenant_id, part)
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
