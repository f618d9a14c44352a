"""The span around every operation, whichever connection it is driven on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import psycopg
from django import db

from engine import telemetry
from engine.errors import Unavailable
from engine.store.query import Operation, name_of

Result = TypeVar("Result")

_ABSENCES = (
    Unavailable,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    db.OperationalError,
    db.InterfaceError,
    OSError,
)
_NOT_TO_BE_HAD = ("08", "53", "57")
"""Classes of SQLSTATE: the connection broke, the server lacks something, or an operator stops it."""


@contextmanager
def watched(operation: Operation[Result]) -> Iterator[Operation[Result]]:
    """Span the driving of an operation; what comes of the block is what to drive in it."""
    with telemetry.span("database.operation", {"operation": name_of(operation)}) as span:
        span.measurements |= {"round_trips": 0, "statements": 0}
        try:
            yield _counted(operation, span)
        except BaseException as error:
            outcome = "outage" if _is_outage(error) else "rolled back"
            span.metadata |= {"outcome": outcome, "error": type(error).__name__}
            raise
        span.metadata |= {"outcome": "committed", "error": ""}


def _counted(operation: Operation[Result], span: telemetry.Span) -> Operation[Result]:
    try:
        step = next(operation)
        while True:
            if step and isinstance(step, Sequence):
                span.measurements["round_trips"] += 1
                span.measurements["statements"] += len(step)
            step = operation.send((yield step))
    except StopIteration as stop:
        result: Result = stop.value
        return result


def _is_outage(error: BaseException) -> bool:
    state = getattr(error, "sqlstate", None) or getattr(error.__cause__, "sqlstate", None)
    return isinstance(error, _ABSENCES) and (state is None or state[:2] in _NOT_TO_BE_HAD)
