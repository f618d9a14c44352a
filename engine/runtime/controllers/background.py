"""Runs what apps above the engine have it do, as any other timed loop."""

from __future__ import annotations

from engine.background import Background
from engine.runtime.loops.periodic import PeriodicService


class BackgroundLoop(PeriodicService):
    """The loop of one `Background`."""

    def __init__(self, work: Background) -> None:
        self.name, self._work = work.name, work

    async def tick(self) -> bool:
        return await self._work.tick()

    async def wait(self) -> None:
        await self._work.wait()

    async def close(self) -> None:
        await self._work.close()
