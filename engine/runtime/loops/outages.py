"""The database goes away and comes back: what has to be done is tried again until then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import TypeVar

from engine import telemetry
from engine.errors import LostRace, Unavailable

Result = TypeVar("Result")

PATIENCE_SECONDS = 20.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 1.0


def is_outage(error: BaseException) -> bool:
    """Whether the database was not there or others were first: nothing is wrong with what was asked."""
    return isinstance(error, Unavailable)


class Outage:
    """The database being away as one part of the engine sees it, from its first failure to its next success.

    `postponed` is how the log calls what is tried again.
    """

    def __init__(self, what: str, postponed: str) -> None:
        self._what, self._postponed = what, postponed
        self._since: float | None = None

    def note(self, error: BaseException) -> None:
        """It failed, once more or for the first time."""
        if self._since is None:
            self._since = perf_counter()
            telemetry.emit("outage.began", {}, {"what": self._what, "error": error})
        note_unreachable(self._postponed, error)

    def end(self) -> None:
        """It succeeded, perhaps after an outage."""
        if self._since is not None:
            seconds = perf_counter() - self._since
            self._since = None
            telemetry.emit("outage.ended", {"seconds": seconds}, {"what": self._what})


def note_unreachable(postponed: str, error: BaseException) -> None:
    """Say what was not done for want of the database and is done later."""
    metadata = {"postponed": postponed, "error": error.__cause__ or error}
    telemetry.emit("database.unreachable", {}, metadata)


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
    outage: Outage | None = None
    while True:
        try:
            result = await work()
        except LostRace:
            telemetry.emit("race.lost", {}, {"what": what})
        except Unavailable as error:
            on_outage()
            if loop.time() > give_up_at:
                raise
            outage = outage or Outage(what, f"{what}: database")
            outage.note(error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        else:
            if outage is not None:
                outage.end()
            return result
