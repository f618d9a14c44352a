"""What follows a commit: the scheduler learns of it, workers, waiting clients and dashboards are told."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from operator import methodcaller
from typing import Any, TypeVar
from uuid import UUID

from engine.domain.assignment import ReadyTask
from engine.operations.assign_tasks import load_cancels
from engine.operations.parts.versions import readable_id
from engine.runtime.dispatcher.sessions import Sessions
from engine.runtime.durable.routes import Routes
from engine.runtime.following.followers import Followers
from engine.runtime.following.subscriptions import (
    RunSubscriptions,
    load_finished,
    standalone_finished,
)
from engine.runtime.hints.notifier import Notifier
from engine.runtime.loops.isolation import isolate
from engine.runtime.loops.outages import wait_out
from engine.runtime.scheduler.owner import TenantOwner
from engine.runtime.task_life import emit_changes
from engine.runtime.writers.event_notes import EventNotes
from engine.runtime.writers.starts import Starts
from engine.store.async_db import AsyncDatabase
from engine.store.changes import Changes
from engine.store.hint_kinds import READ_KINDS, Cares, read_sources
from engine.store.hints import Hint, hints_of

log = logging.getLogger("hatchet.engine")

Item = TypeVar("Item")

_RESULTS_AT_ONCE = 50


class Effects:
    """Applies committed changes to everything this engine holds in memory, and hints the rest."""

    def __init__(
        self,
        database: AsyncDatabase,
        *,
        owners: dict[UUID, TenantOwner],
        sessions: Sessions,
        streams: Followers,
        notifier: Notifier,
        notes: EventNotes,
        on_due: Callable[[], None],
        on_hint: Callable[[Hint], None],
        on_broken: Callable[[TenantOwner], None],
    ) -> None:
        self._database = database
        self._owners, self._sessions = owners, sessions
        self._streams, self._notifier = streams, notifier
        self._notes, self._on_due = notes, on_due
        self._on_hint, self._on_broken = on_hint, on_broken
        self._background: set[asyncio.Task[None]] = set()
        self._is_looking_up = False
        self.subscriptions = RunSubscriptions(self._look_up_soon)
        self.durable = Routes()
        self.starts = Starts()

    def apply(self, changes: Changes) -> None:
        """Act on what an operation changed. Its transaction has committed."""
        for tenant_id, task_id, _ in changes.evicted:
            self.starts.forget(tenant_id, task_id)
        ready: dict[UUID, list[ReadyTask]] = defaultdict(list)
        for tenant_id, task in (*changes.ready, *changes.resting):
            ready[tenant_id].append(task)
        moved: dict[TenantOwner, None] = {}
        for tenant_id, moves, take in _owner_changes(changes, ready):
            if owner := self._owners.get(tenant_id):
                self._try(owner, take)
                if moves:
                    moved[owner] = None
        self._act_elsewhere(changes)
        now = datetime.now(UTC).timestamp()
        for owner in moved:
            self._try(owner, partial(self._go_on, ready=ready.get(owner.tenant_id, ()), now=now))

    def _try(self, owner: TenantOwner, act: Callable[[TenantOwner], None]) -> None:
        """Have a tenant's scheduler do something; what is wrong with one is no concern of the others."""
        try:
            act(owner)
        except Exception:
            log.exception("tenant %s: its scheduler failed and is rebuilt", owner.tenant_id)
            self._on_broken(owner)

    def _go_on(self, owner: TenantOwner, ready: Sequence[ReadyTask], now: float) -> None:
        owner.drain(now)
        self.note_unplaceable(owner, ready, now)

    def _act_elsewhere(self, changes: Changes) -> None:
        for act in (
            self._start,
            self._stop,
            self._streams.apply,
            self.durable.apply,
            self._deliver_standalone,
            self._read_what_changed,
            self._hint,
            self._notifier.touch_pages,
            emit_changes,
        ):
            try:
                act(changes)
            except Exception:
                log.exception("what follows a commit was not all done")
        if changes.wakes_clock:
            self._on_due()

    def note_unplaceable(self, owner: TenantOwner, queued: Sequence[ReadyTask], now: float) -> None:
        """Have the log say which attempts entered the queue without a worker that might take them.

        And which began to wait for their batches.
        """
        for task in owner.unplaceable(queued, now):
            self._notes.add_no_worker(task)
        for task in owner.take_batched():
            self._notes.add_batched(task)

    def spawn(self, work: Coroutine[Any, Any, None], what: str) -> None:
        """Run something in the background; its failure is logged, never lost."""

        async def guarded() -> None:
            try:
                await work
            except Exception:
                log.exception("%s failed", what)

        task = asyncio.create_task(guarded(), name=what)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    # Workers

    def _start(self, changes: Changes) -> None:
        for worker_id, action in changes.assigned:
            self._sessions.send(worker_id, action)

    def _stop(self, changes: Changes) -> None:
        stops: dict[UUID, list[tuple[UUID, UUID, int]]] = defaultdict(list)
        for end in changes.ended:
            if end.stop_on:
                stops[end.tenant_id].append((end.stop_on, end.task_id, end.retry_count))
        for tenant_id, listed in stops.items():
            self.stop(tenant_id, listed)

    def touch_workers(self, tenant_id: UUID) -> None:
        """Tell open dashboards that workers look different now."""
        self._notifier.touch(tenant_id, "workers")

    def stop(self, tenant_id: UUID, stops: Sequence[tuple[UUID, UUID, int]]) -> None:
        """Send CANCEL for (worker, task, retry count) to the workers whose streams are here."""
        here = set(self._sessions.holds(worker_id for worker_id, _, _ in stops))
        listed = [stop for stop in stops if stop[0] in here]
        if listed:
            self.spawn(self._send_cancels(tenant_id, listed), "sending cancellations")

    async def _send_cancels(self, tenant_id: UUID, stops: Sequence[tuple[UUID, UUID, int]]) -> None:
        actions = await wait_out(
            "cancellations", lambda: self._database.run(load_cancels(tenant_id, stops))
        )
        for worker_id, action in actions:
            self._sessions.send(worker_id, action)

    # Clients

    def _deliver_standalone(self, changes: Changes) -> None:
        """Answer those who wait for standalone runs without reading what was just written."""
        if not self.subscriptions.has_any:
            return
        now = datetime.now(UTC)
        end_of = {end.task_id: end for end in changes.ended}
        unknown: dict[UUID, list[UUID]] = defaultdict(list)
        for run in changes.finished:
            if not self.subscriptions.awaits(run.tenant_id, run.run_id):
                continue
            end = end_of.get(run.run_id)
            name = readable_id(end.version_id, end.step_id) if end else None
            if end and name:
                finished = standalone_finished(run.run_id, name, end.status, end.payload, now)
                self.subscriptions.deliver(run.tenant_id, finished)
            else:
                unknown[run.tenant_id].append(run.run_id)
        for tenant_id, run_ids in unknown.items():
            self.spawn(self.deliver_finished(tenant_id, run_ids), "delivering results")

    async def deliver_finished(self, tenant_id: UUID, run_ids: Sequence[UUID]) -> None:
        """Answer those who wait for these runs, as far as they have finished."""

        async def deliver(part: Sequence[UUID]) -> None:
            for finished in await self._database.run(load_finished(tenant_id, part)):
                self.subscriptions.deliver(tenant_id, finished)

        async def skip(run_id: UUID, error: Exception) -> None:
            log.error("the result of run %s cannot be read", run_id, exc_info=error)

        for start in range(0, len(run_ids), _RESULTS_AT_ONCE):
            part = run_ids[start : start + _RESULTS_AT_ONCE]
            awaited = self.subscriptions.postpone_where_full(tenant_id, part)
            await isolate("results", awaited, deliver, skip)

    def _look_up_soon(self) -> None:
        if not self._is_looking_up:
            self._is_looking_up = True
            self.spawn(self._look_up(), "looking up awaited runs")

    async def _look_up(self) -> None:
        """Runs may have finished before anybody asked: look at what is newly awaited."""
        await asyncio.sleep(0)  # requests that came together are looked up together
        self._is_looking_up = False
        for tenant_id, run_ids in self.subscriptions.take_new().items():
            await self.deliver_finished(tenant_id, run_ids)

    # Slots

    def free_slot(self, tenant_id: UUID, task_id: UUID, retry_count: int) -> None:
        """A running attempt gave its slot back."""
        if owner := self._owners.get(tenant_id):
            owner.release_slot(task_id, retry_count)
            owner.drain(datetime.now(UTC).timestamp())
        else:
            self._notifier.hint(Hint(tenant_id, released=[(task_id, retry_count)]))

    # Other engines

    def _read_what_changed(self, changes: Changes) -> None:
        """What is to be read from rows is read here as it is where a hint of it comes to."""
        if any(read_sources(changes)):
            for hint in hints_of(changes, READ_KINDS):
                self._on_hint(hint)

    def _hint(self, changes: Changes) -> None:
        if not self._notifier.has_peers:
            return
        for hint in hints_of(changes):
            hint.leave_out(Cares.ANY)
            if hint.tenant_id in self._owners:
                hint.leave_out(Cares.OWNER)
            held = (*hint.assigned, *(worker_id for worker_id, _, _ in hint.stops))
            here = set(self._sessions.holds(held))
            hint.stops = [stop for stop in hint.stops if stop[0] not in here]
            hint.assigned = [worker_id for worker_id in hint.assigned if worker_id not in here]
            self._notifier.hint(hint)


def _owner_changes(
    changes: Changes, ready: Mapping[UUID, Sequence[ReadyTask]]
) -> Iterator[tuple[UUID, bool, Callable[[TenantOwner], None]]]:
    """Return by tenant what its scheduler must take note of, and if something may be handed out then."""
    for tenant_id, task_ids in _by_tenant(changes.acknowledged).items():
        yield tenant_id, False, methodcaller("acknowledge", task_ids)
    ends = ((end.tenant_id, (end.task_id, end.retry_count)) for end in changes.ended)
    for tenant_id, attempts in _by_tenant(ends).items():
        yield tenant_id, True, methodcaller("end", attempts)
    withdrawn = ((tenant_id, (task_id, count)) for tenant_id, task_id, count in changes.withdrawn)
    for tenant_id, attempts in _by_tenant(withdrawn).items():
        yield tenant_id, False, methodcaller("end", attempts)
    for tenant_id, task_id, retry_count in changes.evicted:
        yield tenant_id, False, methodcaller("release_slot", task_id, retry_count)
    for left in changes.left:
        yield left.tenant_id, True, methodcaller("end_run", left.run_id, left.arrival)
    for tenant_id, listed in ready.items():
        yield tenant_id, True, methodcaller("enqueue", listed)


def _by_tenant(of_tenants: Iterable[tuple[UUID, Item]]) -> dict[UUID, list[Item]]:
    listed: dict[UUID, list[Item]] = {}
    for tenant_id, item in of_tenants:
        listed.setdefault(tenant_id, []).append(item)
    return listed
