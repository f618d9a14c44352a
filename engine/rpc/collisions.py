"""What callers are told of idempotency collisions: the richer status their clients look for."""

from __future__ import annotations

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import code_pb2, status_pb2

from engine.errors import Collision, IdempotencyCollision
from engine.pb.v1 import workflows_pb2 as pb

DETAILS_KEY = "grpc-status-details-bin"


class BulkCollision(IdempotencyCollision):
    """Some runs of a bulk collided; the others were started."""


def collision_details(error: IdempotencyCollision) -> tuple[tuple[str, bytes], ...]:
    """Return the trailing metadata; its code and message repeat those of the call."""
    notice: Message
    if isinstance(error, BulkCollision):
        notice = pb.BulkTriggerIdempotencyCollisionError(
            successful_workflow_run_external_ids=map(str, error.started),
            collisions=map(_message, error.collisions),
        )
    else:
        notice = _message(error.collisions[0])
    detail = Any()
    detail.Pack(notice)
    status = status_pb2.Status(code=code_pb2.ALREADY_EXISTS, message=str(error), details=[detail])
    return ((DETAILS_KEY, status.SerializeToString()),)


def _message(collision: Collision) -> pb.IdempotencyCollisionError:
    return pb.IdempotencyCollisionError(
        existing_run_external_id=str(collision.existing),
        colliding_run_external_id=str(collision.colliding),
    )
