"""Errors callers may see. Each becomes a gRPC status in rpc/errors.py and an HTTP status in api/errors.py.

HatchetError
├── InvalidArgument      the request itself is wrong
├── NotFound             nothing by that id in this tenant
├── FailedPrecondition   right request, wrong moment
├── IdempotencyCollision the runs' idempotency keys are held by other runs
├── ResourceExhausted    a bound was hit; trying again later may work
│   └── LimitReached     a tenant has as much of something as it may have
├── PayloadsAway         the object store or the key service cannot be reached
└── Unavailable          the engine is stopping or cannot reach the database
    ├── NotSent          no connection was free: the database was not asked
    ├── LostRace         another transaction was first, and this one undone
    ├── TargetsChanged   events meet other triggers than was known, and nothing was written
    └── LeaseLost        a tenant's lease has passed to another engine, and nothing was written
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID


class HatchetError(Exception):
    """Base of the tree; `str(error)` is the sentence a client is shown."""

    code = "internal"


class InvalidArgument(HatchetError):
    code = "invalid_argument"


class NotFound(HatchetError):
    code = "not_found"


class FailedPrecondition(HatchetError):
    code = "failed_precondition"


class Collision(NamedTuple):
    """A run that was not started and the run which holds its key."""

    existing: UUID
    colliding: UUID


class IdempotencyCollision(HatchetError):
    """Of the runs asked for, `started` were started."""

    code = "already_exists"

    def __init__(self, collisions: Sequence[Collision], started: Sequence[UUID] = ()) -> None:
        super().__init__("idempotency key collision")
        self.collisions, self.started = tuple(collisions), tuple(started)


class ResourceExhausted(HatchetError):
    code = "resource_exhausted"


class LimitReached(ResourceExhausted):
    """Nothing was done. `room` is how much of what was asked for the tenant could have had."""

    def __init__(self, message: str, tenant_id: UUID | None = None, room: int = 0) -> None:
        super().__init__(message)
        self.tenant_id, self.room = tenant_id, room


class PayloadsAway(HatchetError):
    """Nothing was done. It is no outage of the database: what needs no such payload goes on."""

    code = "unavailable"


class Unavailable(HatchetError):
    """What was asked may have been done or not."""

    code = "unavailable"


class NotSent(Unavailable):
    """What was asked has not been done."""


class LostRace(Unavailable):
    """What was asked has not been done, and may be asked again at once."""


class TargetsChanged(Unavailable):
    """What was asked has not been done: what is known of the events' targets is outdated."""


class AlreadyWritten(HatchetError):
    """Rows of these ids are there: what was asked was done before, when its answer was lost."""


class LeaseLost(Unavailable):
    """What was asked has not been done, and is another engine's to do."""
