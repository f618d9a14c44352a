"""Requests of one stream: those about one task are answered in their order, those of others meanwhile."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from uuid import UUID

from engine.domain.durable.calls import Call

MOST_UNANSWERED = 1_000
"""Requests of one stream that are being worked on; more are not read until some are answered."""


class Evict(NamedTuple):
    """A worker gives up a delivery that only waits."""

    task_id: UUID
    invocation: int
    reason: str = ""


Request = Call | Evict


class Lanes:
    """One lane a task, as long as there is something on it. `answer` must not fail."""

    def __init__(self, answer: Callable[[Request], Awaitable[None]]) -> None:
        self._answer = answer
        self._lanes: dict[UUID, deque[Request]] = {}
        self._room = asyncio.Semaphore(MOST_UNANSWERED)
        self._idle = asyncio.Event()
        self._idle.set()

    async def enter(self) -> None:
        """Wait until there is room for a request; `leave` when it is answered."""
        await self._room.acquire()

    def leave(self) -> None:
        self._room.release()

    def put(self, request: Request) -> bool:
        """Take a request that has entered; return whether its lane is to be run."""
        lane = self._lanes.get(request.task_id)
        if lane is not None:
            lane.append(request)
            return False
        self._idle.clear()
        self._lanes[request.task_id] = deque([request])
        return True

    async def run(self, task_id: UUID) -> None:
        """Answer what is on a lane until it is empty."""
        lane = self._lanes[task_id]
        while lane:
            try:
                await self._answer(lane.popleft())
            finally:
                self.leave()
        del self._lanes[task_id]
        if not self._lanes:
            self._idle.set()

    async def wait_until_idle(self) -> None:
        await self._idle.wait()
