"""The span around every operation, whichever connection it is driven on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TypeVar

import psycopg
from django import db

from engine import telemetry
from engine.errors import LeaseLost, LostRace, TargetsChanged, Unavailable
from engine.store.failures import named
from engine.store.query import Operation, name_of

Result = TypeVar("Result")


@contextmanager
def watched(operation: Operation[Result]) -> Iterator[Operation[Result]]:
    """Span the driving of an operation; what comes of the block is what to drive in it."""
    with telemetry.span("database.operation", {"operation": name_of(operation)}) as span:
        span.measurements |= {"round_trips": 0, "statements": 0}
        try:
            yield _counted(operation, span)
        except BaseException as error:
            span.metadata |= {"outcome": _outcome(error), "error": type(error).__name__}
            raise
        span.metadata |= {"outcome": "committed", "error": ""}


def _counted(operation: Operation[Result], span: telemetry.Span) -> Operation[Result]:
    """Drive an operation as it is, and close it with this one."""
    try:
        with closing(operation):
            step = next(operation)
            while True:
                if step and isinstance(step, Sequence):
                    span.measurements["round_trips"] += 1
                    span.measurements["statements"] += len(step)
                step = operation.send((yield step))
    except StopIteration as stop:
        result: Result = stop.value
        return result


def _outcome(error: BaseException) -> str:
    if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
        return "cancelled"
    cause = error.__cause__ if isinstance(error, db.Error) else error
    meant = named(cause) if isinstance(cause, (psycopg.Error, OSError)) else None
    is_outage = isinstance(meant, Unavailable) and not isinstance(
        meant, (LostRace, LeaseLost, TargetsChanged)
    )
    return "outage" if is_outage else "rolled back"
