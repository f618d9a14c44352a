"""What is kept of a durable task's log: its counters, and its entries.

Pure. `durable_log` says what calls make of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from engine.domain.durable.calls import CURRENT_BRANCH, ROOT_BRANCH, Node
from engine.errors import InvalidArgument
from engine.states import DurableKind

END = 2**62
"""Beyond the last node of any log."""


class Fork(NamedTuple):
    """Where a branch leaves its parent: its own nodes begin with `first_node`."""

    parent_id: int
    first_node: int


@dataclass(slots=True)
class LogState:
    """The counters of a log. `forks` are of the branches 2, 3, ….

    `node_id` is the last node the present invocation reached. `passed` are the nodes before it whose
    calls it has not made again, because other branches of the program were quicker this time; None as
    long as it makes all calls in the recorded order. `is_tried_again`: what was called after that may
    have been recorded, and nobody was told. `restored` counts how often in a row an eviction ended
    at once, without anything new in the log.
    """

    invocation: int = 1
    branch_id: int = ROOT_BRANCH
    node_id: int = 0
    satisfied_order: int = 0
    forks: tuple[Fork, ...] = ()
    passed: tuple[int, ...] | None = None
    restored: int = 0
    is_tried_again: bool = field(default=False, compare=False)

    def branch_of(self, node_id: int, branch_id: int | None = None) -> int:
        """Return the branch that has this node, as seen from a branch, the latest one if none is given."""
        branch = self.branch_id if branch_id is None else branch_id
        while branch > ROOT_BRANCH and self.forks[branch - 2].first_node > node_id:
            branch = self.forks[branch - 2].parent_id
        return branch

    def place(self, node_id: int) -> Node:
        """Return where the call that comes to this node is recorded."""
        return Node(self.branch_of(node_id), node_id)

    @property
    def has_nodes_ahead(self) -> bool:
        """Whether an earlier invocation may have reached further than this one, or an earlier try."""
        return self.invocation > 1 or self.is_tried_again

    def ahead(self, nearest: int, farthest: int) -> list[tuple[int, int, int]]:
        """Return where the nodes some steps ahead are: (branch, first node, last node) of each piece."""
        first, last = self.node_id + nearest, self.node_id + farthest
        if first > last:
            return []
        edges = sorted({first, *(f.first_node for f in self.forks if first < f.first_node <= last)})
        ends = [*(edge - 1 for edge in edges[1:]), last]
        return [(self.branch_of(start), start, end) for start, end in zip(edges, ends, strict=True)]

    def is_active(self, node: Node) -> bool:
        """Say whether a node is on the latest branch or on what that shares with its ancestors."""
        return self.branch_of(node.node_id) == node.branch_id

    def has_made(self, node_id: int) -> bool:
        """Say whether this invocation has made the call at a node."""
        return node_id <= self.node_id and node_id not in (self.passed or ())

    def reach(self, node_id: int, *, passes: bool = False) -> None:
        """Note that the call at a node was made. `passes`: those before it may still be made."""
        if self.passed is not None:
            self.passed = tuple(each for each in self.passed if each != node_id)
        if passes:
            between = range(self.node_id + 1, node_id)
            self.passed = (*(self.passed or ()), *between)
        self.node_id = max(self.node_id, node_id)

    def begin_invocation(self) -> None:
        self.invocation += 1
        self.node_id, self.passed = 0, None

    def end_invocation(self, *, is_restored: bool) -> None:
        """Note that the worker gave the invocation up, and whether the next one begins at once."""
        self.restored = self.restored + 1 if is_restored else 0

    def try_again(self, node_id: int, passed: tuple[int, ...] | None = None) -> None:
        """Go back to where the log stood when the calls to come were tried before."""
        self.node_id, self.passed, self.is_tried_again = node_id, passed, True

    def fork(self, branch_id: int, first_node: int) -> int:
        """Begin a branch that shares the nodes before `first_node` with `branch_id`; return its id.

        `CURRENT_BRANCH` stands for the one the task is on.
        Orders are not given out anew: a later fork may go back to what has them.
        """
        if branch_id == CURRENT_BRANCH:
            branch_id = self.branch_id
        if not ROOT_BRANCH <= branch_id <= len(self.forks) + ROOT_BRANCH:
            raise InvalidArgument(f"there is no branch {branch_id}")
        if first_node < 1:
            raise InvalidArgument("nodes are numbered from 1")
        self.forks = (*self.forks, Fork(branch_id, first_node))
        self.branch_id = len(self.forks) + ROOT_BRANCH
        self.node_id, self.passed, self.restored = 0, None, 0
        return self.branch_id


@dataclass(slots=True)
class Entry:
    """One recorded call. It is satisfied once it has its outcome; `error` is that of a failed child."""

    node: Node
    kind: DurableKind
    identity: bytes
    description: str
    detail: str | None = None
    label: str | None = None
    dedupe_key: str | None = None
    child_run_id: UUID | None = None
    is_awaited: bool = False
    is_satisfied: bool = False
    order: int | None = None
    result: bytes = b""
    error: str | None = None
    recorded_after: int | None = None
    """The last order its invocation was told of before it made the call. It is written, and not read back."""
    is_new: bool = False
    has_new_outcome: bool = False
