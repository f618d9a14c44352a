"""Places attempts that are about to be written on workers with free slots."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import psycopg

from engine.domain.assignment import ReadyTask
from engine.domain.scheduler.machine import Assignment
from engine.errors import LeaseLost
from engine.runtime.scheduler.owner import TenantOwner
from engine.store.failures import named
from engine.store.placing import NO_PLACES, Places

log = logging.getLogger("hatchet.scheduler")


class _Decision(NamedTuple):
    """What a scheduler decided about an attempt that is about to be written, and under which epoch."""

    owner: TenantOwner
    assignment: Assignment
    epoch: int


class Placing:
    """Asks the schedulers of the tenants that this engine owns."""

    def __init__(
        self,
        owners: Mapping[UUID, TenantOwner],
        *,
        on_lease_lost: Callable[[TenantOwner], None],
        on_outage: Callable[[], None],
        on_broken: Callable[[TenantOwner], None],
    ) -> None:
        self._owners = owners
        self._on_lease_lost, self._on_outage = on_lease_lost, on_outage
        self._on_broken = on_broken

    def place(self, ready: Sequence[tuple[UUID, ReadyTask]]) -> Places:
        of_owner: dict[TenantOwner, list[ReadyTask]] = defaultdict(list)
        for tenant_id, task in ready:
            if owner := self._owners.get(tenant_id):
                of_owner[owner].append(task)
        now = datetime.now(UTC).timestamp()
        decisions = [
            _Decision(owner, assignment, owner.epoch)
            for owner, listed in of_owner.items()
            for assignment in self._offer(owner, listed, now)
        ]
        if not decisions:
            return NO_PLACES
        return Places(
            {made.assignment.task.id: made.assignment.worker_id for made in decisions},
            {made.owner.tenant_id: made.epoch for made in decisions},
            {
                task_id: units
                for made in decisions
                for task_id, units in made.assignment.taken.items()
            },
            decisions,
        )

    def _offer(
        self, owner: TenantOwner, ready: Sequence[ReadyTask], now: float
    ) -> Sequence[Assignment]:
        """Ask one tenant's scheduler; if it fails, the others keep what they have decided."""
        try:
            return owner.offer(ready, now)
        except Exception:
            log.exception("tenant %s: its scheduler failed and is rebuilt", owner.tenant_id)
            self._on_broken(owner)
            return ()

    def take_back(self, places: Places, error: BaseException, *, is_unknown: bool) -> None:
        made: Sequence[_Decision] = places.decisions
        # What was rebuilt meanwhile knows nothing of it, and holds its lease under a newer epoch.
        made = [decision for decision in made if decision.epoch == decision.owner.epoch]
        owners = dict.fromkeys(decision.owner for decision in made)
        if isinstance(error, psycopg.Error) and isinstance(named(error), LeaseLost):
            for owner in owners:
                self._on_lease_lost(owner)
            return
        if is_unknown:
            self._on_outage()  # the rows will tell
            return
        for decision in made:
            decision.owner.undo_offer(decision.assignment, decision.epoch)
        now = datetime.now(UTC).timestamp()
        for owner in owners:
            owner.drain(now)
