"""Errors callers may see. Each becomes a gRPC status in rpc/errors.py and an HTTP status in api/errors.py.

HatchetError
├── InvalidArgument      the request itself is wrong
├── NotFound             nothing by that id in this tenant
├── FailedPrecondition   right request, wrong moment
├── ResourceExhausted    a bound was hit; trying again later may work
└── Unavailable          the engine is stopping or cannot reach the database
"""


class HatchetError(Exception):
    """Base of the tree; `str(error)` is the sentence a client is shown."""

    code = "internal"


class InvalidArgument(HatchetError):
    code = "invalid_argument"


class NotFound(HatchetError):
    code = "not_found"


class FailedPrecondition(HatchetError):
    code = "failed_precondition"


class ResourceExhausted(HatchetError):
    code = "resource_exhausted"


class Unavailable(HatchetError):
    code = "unavailable"
