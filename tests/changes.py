"""What an operation changed, beside its result."""

from __future__ import annotations

from copy import copy
from dataclasses import fields
from typing import TypeVar

from engine.store import sync_db
from engine.store.changes import Changes
from engine.store.query import Operation, Repeatable, name_of

Result = TypeVar("Result")


def changing(operation: Operation[Result]) -> tuple[Result, Changes]:
    """Run an operation on Django's connection; return its result and what it changed."""
    changes = Changes()
    return sync_db.run(watched(operation, changes)), changes


def changes_of(operation: Operation[object]) -> Changes:
    return changing(operation)[1]


def watched(operation: Operation[Result], changes: Changes) -> Operation[Result]:
    """Let whoever runs the operation do so, and add what it changed when it has come to its end."""
    if isinstance(operation, Repeatable):
        return Repeatable(lambda: _watched(iter(operation), changes), name_of(operation))
    return _watched(operation, changes)


def _watched(operation: Operation[Result], changes: Changes) -> Operation[Result]:
    seen = Changes()
    try:
        step = next(operation)
        while True:
            if isinstance(step, Changes):
                seen.add(Changes(**{f.name: copy(getattr(step, f.name)) for f in fields(step)}))
            step = operation.send((yield step))
    except StopIteration as stop:
        changes.add(seen)
        result: Result = stop.value
        return result
