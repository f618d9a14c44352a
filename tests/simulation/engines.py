"""Engines: the real service for durable tasks over rows in memory, and what surrounds it made simple."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, cast

from engine.errors import Unavailable
from engine.operations.durable.satisfy_entries import expire_durable_sleeps
from engine.runtime.controllers.ended_children import EndedChildren
from engine.runtime.durable.routes import Routes
from engine.runtime.durable.service import Durable
from engine.store.changes import Changes
from engine.store.hints import Hint, hints_of
from engine.store.query import Operation
from tests.simulation import durable_statements  # noqa: F401  (fills STATEMENTS)
from tests.simulation.statements import STATEMENTS
from tests.simulation.store import Connections

if TYPE_CHECKING:
    from engine.store.async_db import AsyncDatabase
    from tests.simulation.wire import Wire
    from tests.simulation.world import World

Result = TypeVar("Result")


class Gone(Exception):
    """The engine died before it answered."""


class _Effects:
    """Does what the engine's own does, as far as durable tasks are concerned."""

    def __init__(self, engine: SimulatedEngine) -> None:
        self._engine = engine
        self.durable = Routes()

    def apply(self, changes: Changes) -> None:
        world = self._engine.world
        world.scheduler.take(changes)
        self.durable.apply(changes)
        if changes.wakes_clock:
            world.clock_moved.set()
        world.stop_workers(changes)
        hints = list(hints_of(changes))
        for peer in world.engines:
            if peer is not self._engine:
                world.spawn(self._hint(peer, hints), "a hint")

    async def _hint(self, peer: SimulatedEngine, hints: list[Hint]) -> None:
        if self._engine.dice.random() < self._engine.world.lost_hints:
            return
        await asyncio.sleep(self._engine.dice.random() * 0.02)
        for hint in hints:
            if hint.children:
                peer.effects.durable.wake_parents(hint.tenant_id)
            if hint.durable:
                peer.effects.durable.look_again(hint.durable)


class SimulatedEngine:
    def __init__(self, world: World, dice: random.Random) -> None:
        self.world, self.dice = world, dice
        self.is_alive = True
        self.wires: list[Wire] = []
        self._tasks: dict[asyncio.Task[None], None] = {}
        self.database = Connections(world.store, STATEMENTS, dice, self._apply)
        self.database.broken_until = world.database_is_bad_until
        self.effects = _Effects(self)
        database = cast("AsyncDatabase", self.database)
        routes = self.effects.durable
        self.durable = Durable(database, routes, self._spawn, on_outage=lambda: None)
        self._children = EndedChildren(database, routes, cast(Any, {world.tenant_id: None}))
        for batcher in self.durable.batchers:
            self.spawn(batcher.run(), batcher.name)
        self.spawn(self._repeat(self._end_children), "ended children")
        self.spawn(self._repeat(self._end_sleeps), "sleeps")
        self.spawn(self._repeat(self._tick), "durable streams")

    def _apply(self, changes: Changes) -> None:
        self.effects.apply(changes)

    def _spawn(self, work: Coroutine[Any, Any, None], what: str) -> None:
        self.spawn(work, what)

    def spawn(self, work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=what)
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()):
            self.world.failed(task.get_name(), error)

    async def do(self, operation: Operation[Result]) -> Result:
        """Carry out a request; Gone if the engine dies, and nobody knows whether it was done."""
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        async def work() -> None:
            try:
                result = await self.database.run(operation)
            except Exception as error:  # noqa: BLE001 (the one who asked gets it)
                answer.set_exception(error)
                return
            answer.set_result(result)

        task = self.spawn(work(), "a request")
        await asyncio.wait([task])
        if not answer.done():
            raise Gone
        return answer.result()

    def kill(self) -> None:
        self.is_alive = False
        for task in list(self._tasks):
            task.cancel()
        for wire in self.wires:
            wire.snap()

    # Loops

    async def _repeat(self, step: Any) -> None:
        while True:
            try:
                await step()
            except Unavailable:
                await asyncio.sleep(0.5)

    async def _end_children(self) -> None:
        if not await self._children.tick():
            await self._children.wait()

    async def _end_sleeps(self) -> None:
        await self.world.next_due()
        await self.database.run(
            expire_durable_sleeps([self.world.tenant_id], self.world.loop.today)
        )

    async def _tick(self) -> None:
        await asyncio.sleep(self.durable.interval_seconds)
        await self.durable.tick()
