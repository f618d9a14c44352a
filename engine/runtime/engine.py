"""The engine process: composes the parts, runs their loops, stops them in order."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import psycopg

from engine.background import make_background
from engine.config import MAX_MESSAGE_BYTES
from engine.domain.definition import WorkflowDefinition
from engine.domain.spans import NewSpan
from engine.errors import Unavailable
from engine.ids import new_id
from engine.operations.audited import PUT_WORKFLOW, changing
from engine.operations.put_workflow import put_workflow
from engine.retention_config import RetentionConfig
from engine.runtime.calls import Calls
from engine.runtime.catalog import Catalog
from engine.runtime.controllers.auditor import Auditor
from engine.runtime.controllers.background import BackgroundLoop
from engine.runtime.controllers.clock import Clock
from engine.runtime.controllers.ended_children import EndedChildren
from engine.runtime.controllers.error_groups import ErrorGroups
from engine.runtime.controllers.figures import Figures
from engine.runtime.controllers.lost_workers import LostWorkers
from engine.runtime.controllers.outbox import OutboxTaker
from engine.runtime.controllers.slow_poll import SlowPoll
from engine.runtime.controllers.stray_objects import StrayObjects
from engine.runtime.controllers.timetable import Timetable
from engine.runtime.controllers.upkeep import upkeep
from engine.runtime.dispatcher.sessions import ActionSession, Sessions
from engine.runtime.dispatcher.workers import Workers
from engine.runtime.durable.service import Durable
from engine.runtime.effects import Effects
from engine.runtime.following.chunks import Streaming
from engine.runtime.following.followers import Followers
from engine.runtime.following.subscriptions import RunWaiter
from engine.runtime.hints.notifier import Listener, Notifier
from engine.runtime.hints.reader import HintReader
from engine.runtime.loops.batcher import Batcher
from engine.runtime.loops.ending import end_tasks
from engine.runtime.loops.outages import note_unreachable
from engine.runtime.scheduler.owner import TenantOwner
from engine.runtime.scheduler.ownership import Ownership, Peers
from engine.runtime.scheduler.placing import Placing
from engine.runtime.writers.assignments import Assignments
from engine.runtime.writers.attempts import Attempts
from engine.runtime.writers.cancellations import Cancellations
from engine.runtime.writers.clock_restarts import ClockRestarts
from engine.runtime.writers.event_notes import EventNotes
from engine.runtime.writers.events import Events
from engine.runtime.writers.log_lines import LogLines
from engine.runtime.writers.reports import Reports
from engine.runtime.writers.spans import Spans
from engine.runtime.writers.triggers import Triggers
from engine.store import sealing
from engine.store.async_db import AsyncDatabase
from engine.store.changes import Changes
from engine.store.hints import ENGINE_CHANNEL, Hint
from engine.types import (
    EventInput,
    EventRecord,
    LogInput,
    StreamEvent,
    TriggerRequest,
    WorkerRegistration,
)

log = logging.getLogger("hatchet.engine")
Result = TypeVar("Result")


class HatchetEngine(Calls):
    """One engine. `start`, then serve; `stop` drains what was accepted and gives tenants up."""

    retention = RetentionConfig()

    def __init__(
        self, conninfo: str, *, pool_size: int = 8, max_message_bytes: int = MAX_MESSAGE_BYTES
    ) -> None:
        self.id = new_id()
        super().__init__(AsyncDatabase(conninfo, max_size=pool_size, on_committed=self._apply))
        self.sessions, self.streams = Sessions(), Followers()
        self.notifier = Notifier(self.database, self.id)
        self.notes = EventNotes(self.database)
        self.catalog = Catalog(self.database)
        self._make_scheduling(max_message_bytes)
        owners = self.ownership.owners
        self.effects = Effects(
            self.database,
            owners=owners,
            sessions=self.sessions,
            streams=self.streams,
            notifier=self.notifier,
            notes=self.notes,
            on_due=self._wake_clock,
            on_hint=self._act_on,
            on_broken=self.ownership.invalidate,
        )
        self._make_writers(owners)
        self._make_loops(owners)
        self.streaming = Streaming(self.database, self.streams, self.notifier)
        self.hint_reader = HintReader(
            self.database,
            self.id,
            notifier=self.notifier,
            effects=self.effects,
            assignments=self.assignments,
            catalog=self.catalog,
            streaming=self.streaming,
            owners=owners,
            on_due=self._wake_clock,
            on_timetable=self.timetable.wake,
            on_outbox=self.outbox.wake,
        )
        self.listener = Listener(
            conninfo, self.id, {ENGINE_CHANNEL: self.hint_reader.receive}, self._on_listening
        )
        self._peers = (0, 0)
        self._loops: list[asyncio.Task[None]] = []
        self._batchers: list[asyncio.Task[None]] = []

    def _make_scheduling(self, max_message_bytes: int) -> None:
        self.assignments = Assignments(
            self.database,
            self.sessions,
            on_lease_lost=self._drop,
            on_outage=self._invalidate,
            max_message_bytes=max_message_bytes,
        )
        self.cancellations = Cancellations(
            self.database, on_lease_lost=self._drop, on_outage=self._invalidate
        )
        self.clock_restarts = ClockRestarts(self.database)
        self.ownership = Ownership(
            self.database,
            self.id,
            socket.gethostname(),
            on_assign=self.assignments.assign,
            on_cancel=self.cancellations.cancel,
            on_moved=self.clock_restarts.restart,
            on_refused=self.notes.add_refused,
            on_rebuilt=self._on_rebuilt,
            on_peers=self._on_peers,
        )
        placing = Placing(
            self.ownership.owners,
            on_lease_lost=self._drop,
            on_outage=self._invalidate,
            on_broken=self.ownership.invalidate,
        )
        self.database.ask(placing)

    def _make_writers(self, owners: dict[UUID, TenantOwner]) -> None:
        self.triggers = Triggers(self.database, self.catalog, on_outage=self._invalidate)
        self.events = Events(self.database, on_outage=self._invalidate)
        self.reports = Reports(
            self.database, self.effects.starts, self.notes, on_outage=self._invalidate
        )
        self.report, self.report_batch = self.reports.report, self.reports.report_batch
        self.logs, self.spans = LogLines(self.database), Spans(self.database)
        self.attempts = Attempts(self.database, self.effects)
        self.durable = Durable(
            self.database, self.effects.durable, self.effects.spawn, self._invalidate
        )
        self.workers = Workers(
            self.database,
            self.id,
            self.effects,
            self.notes,
            assignments=self.assignments,
            sessions=self.sessions,
            notifier=self.notifier,
            owners=owners,
        )

    def _make_loops(self, owners: dict[UUID, TenantOwner]) -> None:
        self.clock = Clock(self.database, self.effects.spawn, owners)
        self.timetable = Timetable(self.database, self.effects.spawn)
        self.outbox = OutboxTaker(self.database, self.effects.spawn)
        self.auditor = Auditor(self.database, owners)
        self._background = [BackgroundLoop(work) for work in make_background(self.database)]
        sealer = sealing.sealer()
        objects = None if sealer is None else sealer.objects
        self._sweepers = [] if objects is None else [StrayObjects(self.database, objects.store)]

    # Life

    async def start(
        self,
        listeners: Mapping[str, Callable[[str], None]] | None = None,
        on_deaf: Callable[[], None] = lambda: None,
    ) -> None:
        """Connect, take tenants, run the loops.

        `listeners` are further channels to hand on; `on_deaf` is called again and again while
        notifications cannot be received.
        """
        await self.database.open()
        self.listener.add(listeners or {}, on_deaf)
        for batcher in self._all_batchers():
            running = self._guard(batcher.name, batcher.run())
            self._batchers.append(asyncio.create_task(running, name=batcher.name))
        await self.ownership.renew()
        owners = self.ownership.owners
        slow_poll = SlowPoll(
            self.effects,
            self.assignments,
            self.streaming,
            sessions=self.sessions,
            notifier=self.notifier,
            owners=owners,
        )
        kept = (*upkeep(self.database, self.retention), *self._background, *self._sweepers)
        loops: list[tuple[str, Coroutine[Any, Any, None]]] = [
            ("leases", self.ownership.run()),
            ("rebuild", self.ownership.rebuild_loop()),
            ("notifier", self.notifier.run()),
            ("listener", self.listener.run()),
            ("clock", self.clock.run()),
            ("timetable", self.timetable.run()),
            ("outbox", self.outbox.run()),
            ("lost workers", LostWorkers(self.database, self.effects, owners).run()),
            ("auditor", self.auditor.run()),
            ("figures", Figures(self.database, owners).run()),
            ("error groups", ErrorGroups(self.database).run()),
            ("slow poll", slow_poll.run()),
            ("event notes", self.notes.run()),
            ("durable streams", self.durable.run()),
            ("ended children", EndedChildren(self.database, self.effects.durable, owners).run()),
            *((loop.name, loop.run()) for loop in kept),
        ]
        self._loops += [asyncio.create_task(self._guard(n, loop), name=n) for n, loop in loops]

    async def _guard(self, name: str, loop: Coroutine[Any, Any, None]) -> None:
        try:
            await loop
        except Exception:
            log.exception("the %s loop died; the engine stops", name)
            asyncio.get_running_loop().stop()

    async def stop(self, deadline_seconds: float = 10.0) -> None:
        """Take nothing new, write what was accepted, give the tenants to other engines."""
        self.stop_scheduling()
        for batcher in self._all_batchers():
            batcher.close()
        if self._batchers:
            await asyncio.wait(self._batchers, timeout=deadline_seconds)
        await end_tasks((*self._loops, *self._batchers))
        for work in self._background:
            await work.close()
        try:
            await self.notes.tick()
            await self.ownership.give_up()
        except (Unavailable, psycopg.Error) as error:
            note_unreachable("leases were left to run out", error)
        await self.database.close()

    def _all_batchers(self) -> list[Batcher[Any, Any]]:
        return [
            self.triggers.batcher,
            self.events.batcher,
            self.reports.batcher,
            self.assignments.batcher,
            self.cancellations.batcher,
            self.clock_restarts.batcher,
            self.workers.beats,
            self.logs.batcher,
            self.spans.batcher,
            *self.durable.batchers,
        ]

    async def _on_rebuilt(self, owner: TenantOwner) -> None:
        self.clock.wake()
        await self.assignments.deliver_assigned(self.sessions.workers(owner.tenant_id))

    # The parts know each other through these, whatever the order they are made in.

    def _apply(self, changes: Changes) -> None:
        self.effects.apply(changes)

    def _act_on(self, hint: Hint) -> None:
        self.hint_reader.act_on(hint)

    def _drop(self, owner: TenantOwner) -> None:
        self.ownership.drop(owner)

    def _invalidate(self) -> None:
        self.ownership.invalidate_all()

    def _wake_clock(self) -> None:
        self.clock.wake()

    def _on_peers(self, peers: Peers) -> None:
        """Engines may have come or gone; workers whose streams a dead one held are not active any more.

        What a dead one had committed it may not have told, also if it came and went between two surveys.
        """
        self.notifier.has_peers = peers.are_there
        known = peers.identity, self.notifier.engines_met
        if known != self._peers:
            self._peers = known
            self._look_again()
            for owner in self.ownership.owners.values():
                self.effects.spawn(owner.reload_workers(), "reading workers again")

    def stop_scheduling(self) -> None:
        """The first step of stopping: hand out nothing new."""
        self.ownership.stop_scheduling()

    async def _on_listening(self) -> None:
        """Hints may have been lost while nobody listened. From now on the others shall send theirs."""
        await self.notifier.say_hello()
        self._look_again()

    def _look_again(self) -> None:
        """Hints may have been lost: compare what is remembered with the rows now."""
        self.durable.audit_soon()
        self.auditor.wake()
        for owner in self.ownership.owners.values():
            owner.note_backlog()

    # Definitions and runs

    async def put_workflow(
        self, tenant_id: UUID, definition: WorkflowDefinition
    ) -> tuple[UUID, UUID]:
        operation = put_workflow(tenant_id, definition, datetime.now(UTC))
        put = await self.database.run(changing(PUT_WORKFLOW, operation))
        return put.version_id, put.workflow_id

    async def push_events(self, tenant_id: UUID, inputs: Sequence[EventInput]) -> list[EventRecord]:
        return await self.events.push(tenant_id, inputs)

    async def trigger_runs(self, tenant_id: UUID, requests: Sequence[TriggerRequest]) -> list[UUID]:
        return await self.triggers.trigger(tenant_id, requests)

    def subscribe_runs(self, tenant_id: UUID) -> RunWaiter:
        return self.effects.subscriptions.open(tenant_id)

    async def stream_run_events(self, tenant_id: UUID, run_id: UUID) -> AsyncIterator[StreamEvent]:
        return await self.streaming.follow_run(tenant_id, run_id)

    async def stream_metadata_events(
        self, tenant_id: UUID, key: str, value: str
    ) -> AsyncIterator[StreamEvent]:
        return await self.streaming.follow_metadata(tenant_id, key, value)

    # Tasks

    async def refresh_timeout(
        self, tenant_id: UUID, task_id: UUID, increment: str, increment_seconds: float
    ) -> datetime:
        return await self.attempts.refresh_timeout(tenant_id, task_id, increment, increment_seconds)

    async def release_slot(self, tenant_id: UUID, task_id: UUID) -> None:
        await self.attempts.release_slot(tenant_id, task_id)

    async def put_stream_event(
        self, tenant_id: UUID, task_id: UUID, message: str, event_index: int | None
    ) -> None:
        await self.streaming.put(tenant_id, task_id, message, event_index)

    async def append_log(self, line: LogInput) -> None:
        await self.logs.append(line)

    async def record_spans(self, spans: Sequence[NewSpan]) -> int:
        return await self.spans.record(spans)

    # Workers

    async def register_worker(self, tenant_id: UUID, registration: WorkerRegistration) -> UUID:
        return await self.workers.register(tenant_id, registration)

    async def open_session(
        self, tenant_id: UUID, worker_id: UUID, *, beats_by_itself: bool = False
    ) -> ActionSession:
        return await self.workers.open_session(
            tenant_id, worker_id, beats_by_itself=beats_by_itself
        )

    async def record_heartbeat(self, tenant_id: UUID, worker_id: UUID) -> None:
        await self.workers.record_heartbeat(tenant_id, worker_id)

    async def unsubscribe_worker(self, tenant_id: UUID, worker_id: UUID) -> None:
        await self.workers.unsubscribe(tenant_id, worker_id)

    async def upsert_labels(
        self, tenant_id: UUID, worker_id: UUID, labels: dict[str, str | int]
    ) -> None:
        await self.workers.upsert_labels(tenant_id, worker_id, labels)
