"""The database goes away and comes back: what has to be done is tried again until then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import psycopg
from psycopg_pool import PoolTimeout

from engine import telemetry
from engine.errors import InvalidArgument, Unavailable
from engine.runtime.loops.absence import Absence

Result = TypeVar("Result")

PATIENCE_SECONDS = 20.0
_LOST_RACES = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.SerializationFailure,
)
_CONNECTION_ERRORS = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, OSError)
_TOO_MUCH = (
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.StatementTooComplex,
    psycopg.errors.TooManyColumns,
    psycopg.errors.TooManyArguments,
)
"""What the database says of a value it cannot take: it files that under operational errors."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 1.0


def is_outage(error: BaseException) -> bool:
    """Whether the database was not there or others were first: nothing is wrong with what was asked."""
    if isinstance(error, _TOO_MUCH):
        return False
    return isinstance(error, (Unavailable, *_CONNECTION_ERRORS))


@contextmanager
def told_to_caller() -> Iterator[None]:
    """For what is not tried again here: an outage becomes Unavailable, a value too much InvalidArgument."""
    try:
        yield
    except _TOO_MUCH as error:
        raise InvalidArgument(f"the database refused a value: {error}") from error
    except _CONNECTION_ERRORS as error:
        raise Unavailable("the database cannot be reached") from error


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
    absence: Absence | None = None
    while True:
        try:
            result = await work()
        except _LOST_RACES:
            telemetry.emit("race.lost", {}, {"what": what})
        except _CONNECTION_ERRORS as error:
            if not is_outage(error):
                raise
            on_outage()
            if loop.time() > give_up_at:
                raise Unavailable("the database cannot be reached") from error
            absence = absence or Absence(what, f"{what}: database")
            absence.met(error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        else:
            if absence is not None:
                absence.over()
            return result
