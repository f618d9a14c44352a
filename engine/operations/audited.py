"""Operations that the audit log tells of, where a client asks for them over gRPC.

Without a caller, in tests and wherever the engine acts by itself, they are what they were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from engine.store import audit
from engine.store.query import Operation, Repeatable, called, fetch, name_of
from tenants.audit.declared import Acts, Changes
from tenants.caller import calling
from tenants.token_claims import VerifiedToken

CANCEL, REPLAY = Acts("run.cancel"), Acts("run.replay")
PUT_RATE_LIMIT, PUT_WORKFLOW = Changes("rate_limit.put"), Changes("workflow.put")
SCHEDULE = Changes("schedule.create")
IDS_TOLD = 100

Result = TypeVar("Result")


def changing(declared: Changes, operation: Operation[Result]) -> Operation[Result]:
    """Let the triggers of the tables tell what it changes."""
    caller = calling.get()
    if caller is None:
        return operation
    return _like(operation, lambda: _changing(declared, caller, operation))


def _changing(
    declared: Changes, caller: VerifiedToken, operation: Operation[Result]
) -> Operation[Result]:
    yield from fetch(audit.begin(declared, caller))
    return (yield from operation)


def acting(
    declared: Acts,
    operation: Operation[Result],
    ids_of: Callable[[Result], Sequence[UUID]],
) -> Operation[Result]:
    """Tell what it was done to, if it was done to anything."""
    caller = calling.get()
    if caller is None:
        return operation
    return _like(operation, lambda: _acting(declared, caller, operation, ids_of))


def _like(
    operation: Operation[Result], begin: Callable[[], Operation[Result]]
) -> Operation[Result]:
    """What can be begun anew still can be."""
    if isinstance(operation, Repeatable):
        return Repeatable(begin, name_of(operation))
    return called(name_of(operation), begin())


def _acting(
    declared: Acts,
    caller: VerifiedToken,
    operation: Operation[Result],
    ids_of: Callable[[Result], Sequence[UUID]],
) -> Operation[Result]:
    result = yield from operation
    done = ids_of(result)
    if done:
        only = str(done[0]) if len(done) == 1 else ""
        yield from fetch(audit.record(declared, caller, resource_id=only, details=told_of(done)))
    return result


def told_of(ids: Sequence[UUID]) -> dict[str, Any]:
    """What an entry tells of many runs or tasks."""
    return {"count": len(ids), "ids": [str(one) for one in ids[:IDS_TOLD]]}
