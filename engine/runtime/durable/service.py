"""What the engine offers to workers with durable tasks."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from engine.domain.durable.calls import (
    Answer,
    Call,
    Completion,
    Stale,
    WaitCondition,
)
from engine.errors import HatchetError
from engine.operations.durable.await_nodes import Waiting, await_nodes
from engine.operations.durable.branch_tasks import branch_task
from engine.operations.durable.evict_tasks import Evicted, Eviction, evict_tasks, restore_tasks
from engine.operations.durable.read_logs import Opening, load_openings
from engine.operations.durable.record_calls import Tried, record_calls
from engine.operations.durable.register_signals import load_signals, register_signal
from engine.runtime.durable.ports import OpenStream
from engine.runtime.durable.routes import Routes
from engine.runtime.durable.signals import SignalListener
from engine.runtime.durable.stream import DurableStream
from engine.runtime.loops.apart import Spawn
from engine.runtime.loops.batcher import Batcher
from engine.runtime.loops.isolation import each_alone
from engine.runtime.loops.outages import note_unreachable
from engine.runtime.loops.periodic import PeriodicService
from engine.store import tasks
from engine.store.async_db import AsyncDatabase
from engine.store.query import Operation, fetch
from engine.store.tasks import TaskRow

_AUDIT_TICKS = 12
_DRAIN_SECONDS = 1.0


class Durable(PeriodicService):
    """The streams of workers with durable tasks, and what they ask of the log, in batches.

    Its loop finds what no hint has told: soon what keeps other completions back, each minute the rest.
    """

    name = "durable streams"
    interval_seconds = 5.0

    def __init__(
        self,
        database: AsyncDatabase,
        routes: Routes,
        spawn: Spawn,
        on_outage: Callable[[], None],
    ) -> None:
        self._database = database
        self.routes, self.spawn = routes, spawn
        self.calls: Batcher[Call, Answer] = Batcher(
            "durable calls",
            partial(self._record, {}),
            on_outage=on_outage,
            tenant_of=lambda call: call.tenant_id,
        )
        self.look_backs: Batcher[Call, Answer] = Batcher(
            "durable look-backs",
            partial(self._record, {}),
            on_outage=on_outage,
            tenant_of=lambda call: call.tenant_id,
        )
        """Calls that must wait for transactions which push events of their scopes; others need not."""
        self.lookups: Batcher[tuple[Waiting, ...], list[Completion | Stale | None]] = Batcher(
            "durable waits", self._await
        )
        self.openings: Batcher[tuple[UUID, UUID], Opening | None] = Batcher(
            "durable logs", self._open
        )
        self.evictions: Batcher[Eviction, Evicted] = Batcher(
            "evictions", self._evict, on_outage=on_outage
        )
        self.restores: Batcher[tuple[UUID, UUID], bool] = Batcher(
            "restores", self._restore, on_outage=on_outage
        )
        """Some are asked for by nobody who would ask again: an outage must not lose them."""
        self._streams: dict[OpenStream, None] = {}
        self._ticks = 0

    @property
    def batchers(self) -> list[Batcher[Any, Any]]:
        return [
            self.calls,
            self.look_backs,
            self.lookups,
            self.openings,
            self.evictions,
            self.restores,
        ]

    # Streams

    def open_stream(self, tenant_id: UUID) -> DurableStream:
        stream = DurableStream(tenant_id, self)
        self._streams[stream] = None
        return stream

    def open_listener(self, tenant_id: UUID) -> SignalListener:
        listener = SignalListener(tenant_id, self)
        self._streams[listener] = None
        return listener

    def closed(self, stream: OpenStream) -> None:
        self._streams.pop(stream, None)

    async def drain(self) -> None:
        """End every stream once what its worker has asked is answered: the first step of stopping."""
        await asyncio.gather(*(stream.drain(_DRAIN_SECONDS) for stream in self._streams))

    async def tick(self) -> bool:
        self._ticks += 1
        is_audit = self._ticks % _AUDIT_TICKS == 0

        async def look(stream: OpenStream) -> None:
            try:
                await (stream.audit() if is_audit else stream.look_up_held())
            except HatchetError as error:
                note_unreachable("durable waits were not looked up", error)

        await each_alone("looking up durable waits", tuple(self._streams), look)
        return False

    def audit_soon(self) -> None:
        """Hints may have been lost: look at everything anew."""
        self._ticks = -1

    async def record(self, call: Call) -> Answer:
        return await (self.look_backs if call.looks_back else self.calls).submit(call)

    # Unary calls

    async def restore(self, tenant_id: UUID, task_id: UUID) -> bool:
        """Put an evicted task back into the queue; whether there is such a task, evicted or not."""
        if await self.restores.submit((tenant_id, task_id)):
            return True
        return bool(await self._database.run(_find(tenant_id, task_id)))

    async def branch(self, tenant_id: UUID, task_id: UUID, node_id: int, branch_id: int) -> int:
        """Run a task again from a node of a branch on; return the new branch."""
        now = datetime.now(UTC)
        return await self._database.run(branch_task(tenant_id, task_id, node_id, branch_id, now))

    async def register_signal(
        self,
        tenant_id: UUID,
        task_id: UUID,
        signal_key: str,
        conditions: Sequence[WaitCondition],
    ) -> None:
        """Begin a wait that has a key instead of a place in the log. NotFound: unknown task."""
        now = datetime.now(UTC)
        await self._database.run(register_signal(tenant_id, task_id, signal_key, conditions, now))

    async def load_signals(
        self, tenant_id: UUID, pairs: Sequence[tuple[UUID, str]]
    ) -> list[Completion]:
        """Return those of these waits of the older API that are over."""
        return await self._database.run(load_signals(tenant_id, pairs))

    # Batches

    async def _record(self, tried: Tried, calls: Sequence[Call]) -> list[Answer]:
        """Record calls. When a connection breaks they come again, and nobody knows if they were recorded."""
        recording = record_calls(calls, datetime.now(UTC), tried)
        answers = await self._database.run(recording)
        tried.clear()
        return answers

    async def _await(
        self, asked: Sequence[tuple[Waiting, ...]]
    ) -> list[list[Completion | Stale | None]]:
        waiting = [each for part in asked for each in part]
        outcomes = iter(await self._database.run(await_nodes(waiting, datetime.now(UTC))))
        return [[next(outcomes) for _ in part] for part in asked]

    async def _open(self, tasks: Sequence[tuple[UUID, UUID]]) -> list[Opening | None]:
        found: dict[tuple[UUID, UUID], Opening] = {}
        for tenant_id, task_ids in _by_tenant(tasks).items():
            openings = await self._database.run(load_openings(tenant_id, task_ids))
            found |= {(tenant_id, task_id): opening for task_id, opening in openings.items()}
        return [found.get(task) for task in tasks]

    async def _evict(self, evictions: Sequence[Eviction]) -> list[Evicted]:
        return await self._database.run(evict_tasks(evictions, datetime.now(UTC)))

    async def _restore(self, asked: Sequence[tuple[UUID, UUID]]) -> list[bool]:
        known: set[tuple[UUID, UUID]] = set()
        for tenant_id, task_ids in _by_tenant(asked).items():
            now = datetime.now(UTC)
            found = await self._database.run(restore_tasks(tenant_id, task_ids, now))
            known.update((tenant_id, task_id) for task_id in found)
        return [task in known for task in asked]


def _by_tenant(asked: Sequence[tuple[UUID, UUID]]) -> dict[UUID, list[UUID]]:
    ids_of: dict[UUID, list[UUID]] = defaultdict(list)
    for tenant_id, task_id in dict.fromkeys(asked):
        ids_of[tenant_id].append(task_id)
    return ids_of


def _find(tenant_id: UUID, task_id: UUID) -> Operation[list[TaskRow]]:
    return (yield from fetch(tasks.by_ids(tenant_id, [task_id])))
