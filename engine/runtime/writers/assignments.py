"""From the scheduler's decision to the worker's stream: write the assignment, then push."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from engine.domain.assignment import ReadyTask
from engine.domain.batches import max_batch_bytes
from engine.domain.scheduler.machine import Assignment
from engine.errors import LeaseLost
from engine.ids import new_id
from engine.operations.assign_tasks import assign_tasks, load_undelivered
from engine.operations.parts.start_batches import MadeBatch
from engine.runtime.dispatcher.sessions import ActionSession, Sessions
from engine.runtime.hints.notifier import Notifier
from engine.runtime.loops.batcher import Batcher
from engine.runtime.scheduler.owner import TenantOwner
from engine.runtime.task_life import emit_assigned
from engine.store.async_db import AsyncDatabase
from engine.store.hints import Hint
from engine.types import Action

_READ_AT_ONCE = 8


class _Decision(NamedTuple):
    """`epoch` is the one it was decided under: after a rebuild the decision means nothing."""

    owner: TenantOwner
    assignment: Assignment
    epoch: int

    @property
    def tasks(self) -> Sequence[ReadyTask]:
        return self.assignment.tasks


class Assignments:
    """Writes assignments of queued attempts in batches and delivers what was written."""

    def __init__(
        self,
        database: AsyncDatabase,
        sessions: Sessions,
        notifier: Notifier,
        *,
        on_lease_lost: Callable[[TenantOwner], None],
        on_outage: Callable[[], None],
        on_due: Callable[[], None],
        max_message_bytes: int,
    ) -> None:
        self._max_batch_bytes = max_batch_bytes(max_message_bytes)
        self._database, self._sessions, self._notifier = database, sessions, notifier
        self._on_lease_lost, self._on_due = on_lease_lost, on_due
        self.batcher: Batcher[_Decision, None] = Batcher(
            "assignments", self._flush, on_outage=on_outage, max_waiting=1_000_000
        )

    def assign(self, owner: TenantOwner, assignments: Sequence[Assignment]) -> None:
        for assignment in assignments:
            decision = _Decision(owner, assignment, owner.epoch)
            self.batcher.put(decision, rows=len(assignment.tasks))

    async def _flush(self, decisions: Sequence[_Decision]) -> list[None]:
        current = [d for d in decisions if d.owner.is_ready and d.epoch == d.owner.epoch]
        owners = {decision.owner.tenant_id: decision.owner for decision in current}
        if current:
            await self._write(current, owners)
        return [None] * len(decisions)

    async def _write(self, decisions: Sequence[_Decision], owners: dict[UUID, TenantOwner]) -> None:
        epochs = {tenant_id: owner.epoch for tenant_id, owner in owners.items()}
        wanted = [
            (task, decision.assignment.worker_id)
            for decision in decisions
            for task in decision.tasks
        ]
        taken = {task_id: u for d in decisions for task_id, u in d.assignment.taken.items()}
        made = [
            MadeBatch(new_id(), batch.group.key, batch.reason, batch.items)
            for decision in decisions
            if (batch := decision.assignment.batch) is not None
        ]
        operation = assign_tasks(
            wanted,
            epochs,
            datetime.now(UTC),
            made,
            taken,
            max_batch_bytes=self._max_batch_bytes,
        )
        try:
            actions = await self._database.run(operation)
        except LeaseLost:
            for owner in owners.values():
                self._on_lease_lost(owner)
            return
        self._on_due()  # the time of these attempts may be up before anything the clock knows of
        written = {(i.task_id, i.retry_count) for _, action in actions for i in action.items}
        for decision in decisions:
            for task in decision.tasks:
                if (task.id, task.retry_count) not in written:
                    units = decision.assignment.taken.get(task.id, ())
                    decision.owner.undo(task, decision.epoch, units)
        emit_assigned(action for _, action in actions)
        for worker_id, action in actions:
            self.deliver(worker_id, action)
            for item in action.items:
                self._notifier.touch(action.tenant_id, "runs", item.run_id)

    def deliver(self, worker_id: UUID, action: Action) -> None:
        """Push to the worker's stream, or hint the engine that holds it."""
        if not self._sessions.send(worker_id, action):
            self._notifier.hint(Hint(action.tenant_id, assigned=[worker_id]))

    async def deliver_assigned(self, worker_ids: Sequence[UUID]) -> None:
        """Push what other engines assigned to workers whose streams are here.

        What was read for a stream goes over that stream only: a newer one may be there by then, and
        what the old one carried may have ended.
        """
        streams = self._sessions.newest(worker_ids)
        while streams:
            for worker_id, action in await self._database.run(load_undelivered(list(streams))):
                if self._sessions.is_newest(streams[worker_id]):
                    streams[worker_id].send(action)
            read = streams.values()
            replaced = [s.worker_id for s in read if not self._sessions.is_newest(s)]
            streams = self._sessions.newest(replaced)

    async def deliver_postponed(
        self, session: ActionSession, actions: Mapping[UUID, Sequence[UUID]]
    ) -> None:
        """Push to a stream what it had no room for, as far as it is still to be done.

        `actions` are tasks by the id of their action: a batch is read as a whole or not at all.
        """
        left = dict(actions)
        while left and not session.postpone(left):
            part: list[UUID] = []
            while left and len(part) < _READ_AT_ONCE:
                part += left.pop(next(iter(left)))
            read = load_undelivered([session.worker_id], part)
            for _, action in await self._database.run(read):
                if self._sessions.is_newest(session):
                    session.send(action)
