"""Errors become gRPC statuses here and nowhere else."""

from __future__ import annotations

import logging
from typing import NoReturn

import grpc

from engine.errors import (
    FailedPrecondition,
    HatchetError,
    IdempotencyCollision,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    Unavailable,
)
from engine.rpc.collisions import collision_details

logger = logging.getLogger(__name__)


class Unauthenticated(HatchetError):
    """The call carries no token that we accept."""

    code = "unauthenticated"


class NotImplementedYet(HatchetError):
    """A method of the contract that this server does not offer."""

    code = "unimplemented"


_STATUSES: dict[type[HatchetError], grpc.StatusCode] = {
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    NotImplementedYet: grpc.StatusCode.UNIMPLEMENTED,
    InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    NotFound: grpc.StatusCode.NOT_FOUND,
    FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
    ResourceExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
}
# Trailers hold the message with each byte that is not ASCII tripled; clients refuse more than 8 KiB.
_LONGEST_MESSAGE_BYTES = 2_000


async def abort(
    context: grpc.aio.ServicerContext[object, object], method: str, error: Exception
) -> NoReturn:
    """End the call with the status of `error`; what we did not expect is logged, not shown."""
    if isinstance(error, IdempotencyCollision):
        await context.abort(
            grpc.StatusCode.ALREADY_EXISTS, str(error), trailing_metadata=collision_details(error)
        )
    for kind in type(error).__mro__:
        if kind in _STATUSES:
            shortened = str(error).encode()[:_LONGEST_MESSAGE_BYTES].decode(errors="ignore")
            await context.abort(_STATUSES[kind], shortened)
    logger.error("%s failed", method, exc_info=error)
    await context.abort(grpc.StatusCode.INTERNAL, "internal error")
