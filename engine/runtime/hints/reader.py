"""Acts on hints, from other processes and of this one. What they name is read from the rows, never taken at its word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from uuid import UUID

from engine import telemetry
from engine.operations.rebuild_scheduler import load_queued, load_workers
from engine.runtime.catalog import Catalog
from engine.runtime.effects import Effects
from engine.runtime.following.chunks import Streaming
from engine.runtime.hints.notifier import Notifier, parse_hint
from engine.runtime.scheduler.owner import TenantOwner
from engine.runtime.writers.assignments import Assignments
from engine.store.async_db import AsyncDatabase
from engine.store.hint_kinds import KINDS
from engine.store.hints import Hint


class HintReader:
    """Takes engine hints off the wire and starts what follows from them."""

    def __init__(
        self,
        database: AsyncDatabase,
        engine_id: UUID,
        *,
        notifier: Notifier,
        effects: Effects,
        assignments: Assignments,
        catalog: Catalog,
        streaming: Streaming,
        owners: dict[UUID, TenantOwner],
        on_due: Callable[[], None],
        on_timetable: Callable[[], None],
        on_outbox: Callable[[], None],
    ) -> None:
        self._database, self._engine_id, self._notifier = database, engine_id, notifier
        self._effects, self._assignments, self._catalog = effects, assignments, catalog
        self._owners, self._on_due, self._streaming = owners, on_due, streaming
        self._on_timetable, self._on_outbox = on_timetable, on_outbox
        self.appliers: Mapping[str, Callable[[Hint], None]] = {
            "catalog": self._forget_names,
            "timetable": self._look_at_timetable,
            "stops": self._stop,
            "assigned": self._deliver_assigned,
            "finished": self._finish,
            "released": self._forget_starts,
            "chunks": self._receive_chunks,
            "children": self._wake_parents,
            "durable": self._look_at_durable,
        }
        """By kind what every engine does."""
        self.owner_appliers: Mapping[str, Callable[[TenantOwner, Hint], None]] = {
            "rules": self._reload_rules,
            "limits": self._reload_limits,
            "ended": self._end,
            "released": self._release,
            "left": self._leave,
            "beats": self._beat,
            "backlog": self._note_backlog,
            "sleeps": self._wake_clock,
            "outbox": self._take_outbox,
            "ready": self._read_later,
            "workers": self._read_later,
        }
        """By kind what the engine that schedules the tenant does."""

    def receive(self, payload: str) -> None:
        """Act on a message from another process."""
        hint = parse_hint(payload, self._engine_id)
        if hint is None:
            return
        metadata = {"tenant_id": hint.tenant_id, "sender_id": hint.sender}
        telemetry.emit("hint.received", {}, metadata)
        if hint.sender is not None:
            self._notifier.meet(hint.sender)
        self.act_on(hint)

    def act_on(self, hint: Hint) -> None:
        """Do what the hint's kinds ask for; what only the owner does is nothing to others."""
        owner = self._owners.get(hint.tenant_id)
        for kind in KINDS:
            if getattr(hint, kind.name):
                act = self.appliers.get(kind.name)
                if act is not None:
                    act(hint)
                if owner is not None and (decide := self.owner_appliers.get(kind.name)):
                    decide(owner, hint)
        if owner is None:
            return
        if hint.ready or hint.workers or hint.backlog:
            self._on_due()
            self._effects.spawn(self._read(owner, hint), "reading what a hint named")
        elif hint.ended or hint.released or hint.left or hint.beats:
            owner.drain(datetime.now(UTC).timestamp())

    # Everywhere

    def _forget_names(self, hint: Hint) -> None:
        self._catalog.forget(hint.tenant_id)

    def _look_at_timetable(self, _: Hint) -> None:
        self._on_timetable()

    def _stop(self, hint: Hint) -> None:
        self._effects.stop(hint.tenant_id, hint.stops)

    def _deliver_assigned(self, hint: Hint) -> None:
        work = self._assignments.deliver_assigned(hint.assigned)
        self._effects.spawn(work, "delivering assignments")

    def _finish(self, hint: Hint) -> None:
        work = self._effects.deliver_finished(hint.tenant_id, hint.finished)
        self._effects.spawn(work, "delivering results")
        work = self._streaming.settle(hint.tenant_id, hint.finished)
        self._effects.spawn(work, "telling followers")

    def _forget_starts(self, hint: Hint) -> None:
        for task_id, _ in hint.released:
            self._effects.starts.forget(hint.tenant_id, task_id)

    def _receive_chunks(self, hint: Hint) -> None:
        for chunk in hint.chunks:
            self._streaming.receive_piece(chunk)

    def _wake_parents(self, hint: Hint) -> None:
        self._effects.durable.wake_parents(hint.tenant_id)

    def _look_at_durable(self, hint: Hint) -> None:
        self._effects.durable.look_again(hint.durable)

    # At the owner

    def _take_outbox(self, _: TenantOwner, __: Hint) -> None:
        self._on_outbox()

    def _reload_rules(self, owner: TenantOwner, _: Hint) -> None:
        owner.pauses.invalidate()
        self._effects.spawn(owner.reload_rules(), "reading which workflows are paused")

    def _reload_limits(self, owner: TenantOwner, hint: Hint) -> None:
        self._effects.spawn(owner.reload_limits(hint.limits), "reading rate limits")

    def _end(self, owner: TenantOwner, hint: Hint) -> None:
        owner.end(hint.ended)

    def _release(self, owner: TenantOwner, hint: Hint) -> None:
        for task_id, retry_count in hint.released:
            owner.release_slot(task_id, retry_count)

    def _leave(self, owner: TenantOwner, hint: Hint) -> None:
        for run_id, arrival in hint.left:
            owner.end_run(run_id, arrival)

    def _beat(self, owner: TenantOwner, hint: Hint) -> None:
        now = datetime.now(UTC).timestamp()
        for worker_id in hint.beats:
            owner.beat(worker_id, now)

    def _note_backlog(self, owner: TenantOwner, _: Hint) -> None:
        owner.note_backlog()

    def _wake_clock(self, _owner: TenantOwner, _: Hint) -> None:
        self._on_due()

    def _read_later(self, _owner: TenantOwner, _: Hint) -> None:
        """Rows that are named are read together, when the rest of the hint has been acted on."""

    async def _read(self, owner: TenantOwner, hint: Hint) -> None:
        if hint.workers:
            for row in await self._database.run(load_workers(owner.tenant_id, hint.workers)):
                owner.upsert_worker(row)
        if hint.ready:
            queued = await self._database.run(load_queued(owner.tenant_id, hint.ready))
            owner.enqueue(queued)
            now = datetime.now(UTC).timestamp()
            owner.drain(now)
            self._effects.note_unplaceable(owner, queued, now)
        await owner.refill()
