"""The database goes away and comes back: what has to be done is tried again until then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from engine.errors import LostRace, Unavailable

log = logging.getLogger("hatchet.outages")

Result = TypeVar("Result")

PATIENCE_SECONDS = 20.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 1.0


def is_outage(error: BaseException) -> bool:
    """Whether the database was not there or others were first: nothing is wrong with what was asked."""
    return isinstance(error, Unavailable)


async def wait_out(
    what: str,
    work: Callable[[], Awaitable[Result]],
    on_outage: Callable[[], None] = lambda: None,
) -> Result:
    """Return what the work came to; begin it again after an outage and after a lost race.

    Its effects must be the same however often it is begun: nobody knows what was committed when a
    connection broke. `on_outage` is called each time. Raises Unavailable after PATIENCE_SECONDS.
    """
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + PATIENCE_SECONDS
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return await work()
        except LostRace:
            log.info("%s: lost a race between transactions, trying again", what)
        except Unavailable as error:
            on_outage()
            if loop.time() > give_up_at:
                raise
            log.warning("%s: database: %s", what, error.__cause__ or error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
