"""A timed loop: one bounded batch a tick, again at once while there is more."""

from __future__ import annotations

import asyncio
import logging
import random

from engine import telemetry
from engine.runtime.loops.outages import Outage, is_outage

log = logging.getLogger("hatchet.controllers")

_OUTAGE_PAUSE_SECONDS = 0.5


async def is_woken(event: asyncio.Event, seconds: float) -> bool:
    """Wait for the event, but not longer than that; return whether it was set."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


class PeriodicService:
    """Subclasses say what a `tick` does; it returns True to be called again at once.

    A database outage never ends the loop, and neither does a bug, which is logged each time.
    """

    name = "service"
    interval_seconds = 1.0

    async def tick(self) -> bool:
        """Do one bounded batch; True if there may be more."""
        raise NotImplementedError

    async def wait(self) -> None:
        """Wait for the next turn. The interval is jittered, so that processes spread."""
        await asyncio.sleep(self.interval_seconds * random.uniform(0.9, 1.1))

    async def run(self) -> None:
        outage = Outage(self.name, f"{self.name}: database")
        while True:
            try:
                with telemetry.span("loop.tick", {"loop": self.name}):
                    has_more = await self.tick()
                outage.end()
                if not has_more:
                    await self.wait()
            except Exception as error:
                if is_outage(error):
                    outage.note(error)
                    await asyncio.sleep(_OUTAGE_PAUSE_SECONDS)
                else:
                    log.exception("%s: a tick failed", self.name)
                    await asyncio.sleep(self.interval_seconds)
