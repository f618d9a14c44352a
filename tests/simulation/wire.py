"""A stream between a worker and an engine: it delays, stalls, breaks, and each side notices in its own time."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from engine.domain.durable.calls import Call
from engine.runtime.durable.lanes import Evict
from engine.runtime.durable.stream import DurableStream
from tests.simulation.client import Listener, Request, Status

if TYPE_CHECKING:
    from tests.simulation.engines import SimulatedEngine


class Wire:
    def __init__(self, listener: Listener, engine: SimulatedEngine, dice: random.Random) -> None:
        self.listener, self.engine, self.dice = listener, engine, dice
        self.stream: DurableStream = engine.durable.open_stream(listener.world.tenant_id)
        self.is_broken = False
        self.stalls_until = 0.0
        self._up: asyncio.Queue[Request] = asyncio.Queue()
        self._pumps = [
            engine.spawn(self._carry_up(), "requests"),
            engine.spawn(self._carry_down(), "replies"),
        ]
        engine.wires.append(self)

    def send(self, request: Request) -> None:
        self._up.put_nowait(request)

    async def _carry_up(self) -> None:
        self.stream.register(str(self.listener.worker_id))
        while True:
            request = await self._up.get()
            await self._travel()
            if isinstance(request, Call | Evict):
                await self.stream.take(request)
            else:
                assert isinstance(request, Status)
                await self.stream.take_status(request.entries, request.received)

    async def _carry_down(self) -> None:
        async for reply in self.stream:
            await self._travel()
            if not self.is_broken:
                self.listener.world.note("reply", self.listener.worker_id, reply)
                self.listener.receive(reply)
        self.snap()

    async def _travel(self) -> None:
        seconds = 0.0 if self.dice.random() < 0.3 else self.dice.random() * 0.01
        stall = self.stalls_until - asyncio.get_running_loop().time()
        await asyncio.sleep(max(seconds, stall))

    def snap(self) -> None:
        """Break. Some of what is on its way still arrives at the engine, which notices later."""
        if self.is_broken:
            return
        self.is_broken = True
        world = self.listener.world
        world.note("the stream breaks", self.listener.worker_id)
        world.spawn(self._notice_here(), "a worker notices")
        world.spawn(self._notice_there(), "an engine notices")

    async def _notice_here(self) -> None:
        await asyncio.sleep(self.dice.choice((0.0, 0.01, 1.0)))
        if self.listener.wire is self:
            self.listener.disconnected()

    async def _notice_there(self) -> None:
        await asyncio.sleep(self.dice.choice((0.0, 0.01, 0.5, 8.0)))
        for pump in self._pumps:
            pump.cancel()
        self.stream.close()
