"""Errors become gRPC statuses here and nowhere else."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import NamedTuple, NoReturn

import grpc

from engine import telemetry
from engine.errors import (
    FailedPrecondition,
    HatchetError,
    IdempotencyCollision,
    InvalidArgument,
    NotFound,
    PayloadsAway,
    ResourceExhausted,
    Unavailable,
)
from engine.rpc.collisions import collision_details

logger = logging.getLogger(__name__)


class Unauthenticated(HatchetError):
    """The call carries no token that we accept."""

    code = "unauthenticated"


class PermissionDenied(HatchetError):
    """The call's token is good, but not for this."""

    code = "permission_denied"


class NotImplementedYet(HatchetError):
    """A method of the contract that this server does not offer."""

    code = "unimplemented"


_STATUSES: dict[type[HatchetError], grpc.StatusCode] = {
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    NotImplementedYet: grpc.StatusCode.UNIMPLEMENTED,
    InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    NotFound: grpc.StatusCode.NOT_FOUND,
    FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
    ResourceExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    PayloadsAway: grpc.StatusCode.UNAVAILABLE,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
}
refused_as: ContextVar[str] = ContextVar("the status a call was refused with", default="OK")

# Trailers hold the message with each byte that is not ASCII tripled; clients refuse more than 8 KiB.
_LONGEST_MESSAGE_BYTES = 2_000


class Refusal(NamedTuple):
    """How a call ends that was not carried out."""

    code: grpc.StatusCode
    message: str
    trailers: tuple[tuple[str, bytes], ...] = ()

    async def send(self, context: grpc.aio.ServicerContext[object, object]) -> NoReturn:
        """End the call. No caller of this may still hold the request.

        The transport keeps the frames of those that are here until the garbage collector comes by, and
        with them whatever they hold.
        """
        await context.abort(self.code, self.message, trailing_metadata=self.trailers)


def refusal_of(method: str, error: BaseException) -> Refusal:
    """Return the status of `error`; what we did not expect is logged, not shown."""
    refusal = _refusal_of(method, error)
    refused_as.set(refusal.code.name)
    metadata = {"method": method, "code": refusal.code.name, "message": refusal.message}
    telemetry.emit("grpc.refused", {}, metadata)
    return refusal


def _refusal_of(method: str, error: BaseException) -> Refusal:
    if isinstance(error, IdempotencyCollision):
        return Refusal(grpc.StatusCode.ALREADY_EXISTS, str(error), collision_details(error))
    for kind in type(error).__mro__:
        if kind in _STATUSES:
            shortened = str(error).encode()[:_LONGEST_MESSAGE_BYTES].decode(errors="ignore")
            return Refusal(_STATUSES[kind], shortened)
    logger.error("%s failed", method, exc_info=error)
    return Refusal(grpc.StatusCode.INTERNAL, "internal error")
