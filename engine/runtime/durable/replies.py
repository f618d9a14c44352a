"""What a worker is told about its durable tasks."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from engine.domain.durable.calls import Completion, MemoAnswer, Node, SpawnAnswer, WaitAnswer

_FRAME_BYTES = 200


class Registered(NamedTuple):
    worker_id: str


class Acknowledged(NamedTuple):
    """A call was recorded, or found in the log."""

    task_id: UUID
    invocation: int
    body: MemoAnswer | SpawnAnswer | WaitAnswer


class Completed(NamedTuple):
    """An entry that this delivery waits for is complete."""

    completion: Completion


class Failed(NamedTuple):
    """A call could not be carried out. `node` is the entry that it does not match, if that is why."""

    task_id: str
    invocation: int
    message: str
    node: Node | None = None


class EvictionTaken(NamedTuple):
    """The worker may drop this delivery."""

    task_id: UUID
    invocation: int


class Superseded(NamedTuple):
    """This delivery is over; the worker is to drop it without a report."""

    task_id: UUID
    invocation: int
    reason: str


Reply = Registered | Acknowledged | Completed | Failed | EvictionTaken | Superseded


def size_of(reply: Reply) -> int:
    """Return about how much memory a reply takes."""
    match reply:
        case Completed(completion):
            return _FRAME_BYTES + len(completion.payload) + len(completion.error or "")
        case Acknowledged(body=MemoAnswer() as memo):
            return _FRAME_BYTES + len(memo.payload or b"")
        case Acknowledged(body=SpawnAnswer() as spawn):
            return _FRAME_BYTES * (1 + len(spawn.children))
        case Failed(message=text):
            return _FRAME_BYTES + len(text)
        case _:
            return _FRAME_BYTES


def nodes_of(body: MemoAnswer | SpawnAnswer | WaitAnswer) -> list[Node]:
    """Return the nodes that an acknowledgement names, children in the order they were asked for."""
    if isinstance(body, SpawnAnswer):
        return [node for node, _ in body.children]
    return [body.node]
