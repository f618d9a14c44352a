"""One delivery of a durable task: what completes, and what its worker is told of then."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from engine.domain.durable.calls import Completion, Node
from engine.domain.durable.delivery import Invocation
from engine.states import DurableKind

ONE, TWO, THREE = Node(1, 1), Node(1, 2), Node(1, 3)
TASK = UUID(int=7)


def invocation(
    recorded: Iterable[tuple[int, Node]] = (),
    *,
    reached: int = 0,
    received: int | None = None,
    restored: int = 0,
) -> Invocation:
    known = Invocation(TASK, 1)
    known.open(recorded, reached, received, restored=restored)
    return known


def done(node: Node, order: int | None) -> Completion:
    return Completion(TASK, 1, node, DurableKind.WAIT_FOR, order, b"{}")


def complete(known: Invocation, node: Node, order: int | None, now: float = 0.0) -> list[Node]:
    known.complete(done(node, order))
    return take(known, now)


def take(known: Invocation, now: float = 0.0) -> list[Node]:
    return [completion.node for completion in known.take(now)]


def held_back(restored: int) -> Invocation:
    """Return a delivery whose program waits for the second completion and never asks for the first."""
    known = invocation([(1, ONE), (2, TWO)], restored=restored)
    known.acknowledge(TWO, needs_waiter=False)
    assert complete(known, TWO, 2) == []
    return known
