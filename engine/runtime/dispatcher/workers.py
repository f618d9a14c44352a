"""Workers as they register, listen, beat and leave."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from engine import telemetry
from engine.errors import FailedPrecondition, NotFound, ResourceExhausted, Unavailable
from engine.ids import new_id
from engine.operations.rebuild_scheduler import load_workers
from engine.operations.register_worker import register_worker
from engine.runtime.dispatcher.completing import send_complete
from engine.runtime.dispatcher.sessions import ActionSession, Sessions
from engine.runtime.effects import Effects
from engine.runtime.hints.notifier import Notifier
from engine.runtime.loops.batcher import Batcher
from engine.runtime.loops.outages import wait_out
from engine.runtime.scheduler.owner import TenantOwner
from engine.runtime.writers.assignments import Assignments
from engine.runtime.writers.event_notes import EventNotes
from engine.store import workers
from engine.store.async_db import AsyncDatabase
from engine.store.hints import Hint
from engine.types import Action, WorkerRegistration

log = logging.getLogger("hatchet.engine")

_Beat = tuple[UUID, UUID]
_OWN_BEAT_SECONDS = 4.0


class Workers:
    """What workers ask of the engine besides running tasks."""

    def __init__(
        self,
        database: AsyncDatabase,
        engine_id: UUID,
        effects: Effects,
        notes: EventNotes,
        *,
        assignments: Assignments,
        sessions: Sessions,
        notifier: Notifier,
        owners: dict[UUID, TenantOwner],
    ) -> None:
        self._database, self._engine_id, self._effects = database, engine_id, effects
        self._notes, self._assignments = notes, assignments
        self._sessions, self._notifier, self._owners = sessions, notifier, owners
        self.beats: Batcher[_Beat, bool | None] = Batcher("heartbeats", self._beat)

    async def register(self, tenant_id: UUID, registration: WorkerRegistration) -> UUID:
        """Make a new worker; it is assignable once it listens and beats. LimitReached: there are enough."""
        worker_id = new_id()
        now = datetime.now(UTC)
        await self._database.run(register_worker(worker_id, tenant_id, registration, now))
        await self._changed(tenant_id, worker_id)
        telemetry.emit("worker.registered", {}, {"tenant_id": tenant_id, "worker_id": worker_id})
        return worker_id

    async def open_session(
        self, tenant_id: UUID, worker_id: UUID, *, beats_by_itself: bool = False
    ) -> ActionSession:
        """Open an action stream here, which for old clients is a heartbeat too. NotFound: unknown."""
        now = datetime.now(UTC)
        opened = await self._database.fetch(
            workers.open_session(tenant_id, worker_id, self._engine_id, now)
        )
        if not opened:
            raise NotFound("worker not found")
        session = ActionSession(
            tenant_id,
            worker_id,
            now,
            self._close_session,
            self._notes.add_sent,
            self._deliver_postponed,
            self._complete,
        )
        self._sessions.add(session)
        await self._changed(tenant_id, worker_id)
        telemetry.emit("worker.listening", {}, {"tenant_id": tenant_id, "worker_id": worker_id})
        if beats_by_itself:
            self._effects.spawn(self._beat_for(session), "heartbeats of an old client")
        return session

    def _deliver_postponed(
        self, session: ActionSession, actions: Mapping[UUID, Sequence[UUID]]
    ) -> None:
        work = wait_out(
            "postponed actions", lambda: self._assignments.deliver_postponed(session, actions)
        )
        self._effects.spawn(work, "sending postponed actions")

    def _complete(self, session: ActionSession, action: Action) -> None:
        self._effects.spawn(send_complete(session, action), "reading payloads of a START")

    async def _beat_for(self, session: ActionSession) -> None:
        while not session.is_closed:
            try:
                await self.record_heartbeat(session.tenant_id, session.worker_id)
            except (Unavailable, ResourceExhausted) as error:
                log.warning("worker %s: heartbeat of its stream: %s", session.worker_id, error)
            await asyncio.sleep(_OWN_BEAT_SECONDS)

    async def _close_session(self, session: ActionSession) -> None:
        self._sessions.remove(session)
        closed = await self._database.fetch(
            workers.close_session(session.worker_id, session.opened_at, datetime.now(UTC))
        )
        if closed:
            await self._changed(session.tenant_id, session.worker_id)
            ids = {"tenant_id": session.tenant_id, "worker_id": session.worker_id}
            telemetry.emit("worker.left", {}, ids)

    async def unsubscribe(self, tenant_id: UUID, worker_id: UUID) -> None:
        """Give the worker nothing more; what it runs goes on. NotFound: unknown worker."""
        now = datetime.now(UTC)
        if not await self._database.fetch(workers.unsubscribe(tenant_id, worker_id, now)):
            raise NotFound("worker not found")
        await self._changed(tenant_id, worker_id)

    async def upsert_labels(
        self, tenant_id: UUID, worker_id: UUID, labels: dict[str, str | int]
    ) -> None:
        """Merge labels into the worker's. NotFound: unknown worker."""
        now = datetime.now(UTC)
        query = workers.upsert_labels(tenant_id, worker_id, labels, now)
        if not await self._database.fetch(query):
            raise NotFound("worker not found")
        await self._changed(tenant_id, worker_id)

    async def record_heartbeat(self, tenant_id: UUID, worker_id: UUID) -> None:
        """NotFound: unknown. FailedPrecondition: it listened once and is not active now."""
        recorded = await self.beats.submit((worker_id, tenant_id))
        if recorded is None:
            raise NotFound("worker not found")
        if not recorded:
            raise FailedPrecondition("the worker has no open action stream")
        now = datetime.now(UTC).timestamp()
        if owner := self._owners.get(tenant_id):
            owner.beat(worker_id, now)
            owner.drain(now)
        else:
            self._notifier.hint(Hint(tenant_id, beats=[worker_id]))

    async def _beat(self, beats: Sequence[_Beat]) -> list[bool | None]:
        unique = sorted(set(beats))
        query = workers.beat(unique, datetime.now(UTC))
        known = dict(await self._database.fetch(query))
        return [known.get(worker_id) for worker_id, _ in beats]

    async def _changed(self, tenant_id: UUID, worker_id: UUID) -> None:
        """Bring the tenant's scheduler, here or elsewhere, up to date with the worker's row."""
        self._notifier.touch(tenant_id, "workers")
        owner = self._owners.get(tenant_id)
        if owner is None:
            self._notifier.hint(Hint(tenant_id, workers=[worker_id]))
            return
        for row in await self._database.run(load_workers(tenant_id, [worker_id])):
            owner.upsert_worker(row)
        owner.drain(datetime.now(UTC).timestamp())
