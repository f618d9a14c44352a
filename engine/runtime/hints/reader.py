"""Acts on hints from other processes. What they name is read from the rows, never taken at its word."""

from __future__ import annotations

from collections.abc import Callable
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
    ) -> None:
        self._database, self._engine_id, self._notifier = database, engine_id, notifier
        self._effects, self._assignments, self._catalog = effects, assignments, catalog
        self._owners, self._on_due, self._streaming = owners, on_due, streaming
        self._on_timetable = on_timetable

    def receive(self, payload: str) -> None:
        hint = parse_hint(payload, self._engine_id)
        if hint is None:
            return
        metadata = {"tenant_id": hint.tenant_id, "sender_id": hint.sender}
        telemetry.emit("hint.received", {}, metadata)
        if hint.sender is not None:
            self._notifier.has_peers = True
        if hint.is_catalog:
            self._catalog.forget(hint.tenant_id)
        if hint.is_timetable:
            self._on_timetable()
        if hint.stops:
            self._effects.stop(hint.tenant_id, hint.stops)
        if hint.assigned:
            work = self._assignments.deliver_assigned(hint.assigned)
            self._effects.spawn(work, "delivering assignments")
        if hint.finished:
            work = self._effects.deliver_finished(hint.tenant_id, hint.finished)
            self._effects.spawn(work, "delivering results")
            work = self._streaming.settle(hint.tenant_id, hint.finished)
            self._effects.spawn(work, "telling followers")
        for task_id, _ in hint.released:
            self._effects.starts.forget(hint.tenant_id, task_id)
        for chunk in hint.chunks:
            self._streaming.receive_piece(chunk)
        self._tell_durable(hint)
        owner = self._owners.get(hint.tenant_id)
        if owner:
            self._tell(owner, hint)

    def _tell_durable(self, hint: Hint) -> None:
        if hint.is_children:
            self._effects.durable.wake_parents(hint.tenant_id)
        if hint.durable:
            self._effects.durable.look_again(hint.durable)

    def _tell(self, owner: TenantOwner, hint: Hint) -> None:
        if hint.is_catalog:
            owner.pauses.question()
            self._effects.spawn(owner.reload_rules(), "reading which workflows are paused")
        if hint.limits:
            work = owner.reload_limits(hint.limits)
            self._effects.spawn(work, "reading rate limits")
        now = datetime.now(UTC).timestamp()
        for task_id, retry_count in hint.ended:
            owner.end(task_id, retry_count)
        for task_id, retry_count in hint.released:
            owner.release_slot(task_id, retry_count)
        for run_id, arrival in hint.left:
            owner.end_run(run_id, arrival)
        for worker_id in hint.beats:
            owner.beat(worker_id, now)
        if hint.is_backlog:
            owner.note_backlog()
        if hint.ready or hint.workers or hint.is_backlog:
            self._on_due()
            self._effects.spawn(self._read(owner, hint), "reading what a hint named")
        elif hint.ended or hint.released or hint.left or hint.beats:
            owner.drain(now)

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
