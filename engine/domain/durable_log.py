"""The log of one durable task: which call gets which node, and when a call is not the recorded one.

Pure. It holds the part of the log that the calls at hand may touch, answers them one after the other, and
notes down what has to be written. Whoever uses it holds the lock on the task's row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from engine.domain import durable_identity as identities
from engine.domain.durable import (
    ROOT_BRANCH,
    SIGNAL_BRANCH,
    AnswerBody,
    Completion,
    MemoAnswer,
    Mismatch,
    Node,
    SpawnAnswer,
    Stored,
    Unknown,
    WaitAnswer,
    WaitCondition,
)
from engine.domain.durable_results import as_object
from engine.errors import InvalidArgument
from engine.states import DurableKind
from engine.types import TriggerRequest


class Fork(NamedTuple):
    """Where a branch leaves its parent: its own nodes begin with `first_node`."""

    parent_id: int
    first_node: int


@dataclass(slots=True)
class LogState:
    """The counters of a log. `forks` are of the branches 2, 3, ….

    `node_id` is the last node the present invocation reached. `is_tried_again`: what was called after
    that may have been recorded, and nobody was told.
    """

    invocation: int = 1
    branch_id: int = ROOT_BRANCH
    node_id: int = 0
    satisfied_order: int = 0
    forks: tuple[Fork, ...] = ()
    is_tried_again: bool = field(default=False, compare=False)

    def branch_of(self, node_id: int, branch_id: int | None = None) -> int:
        """Return the branch that has this node, as seen from a branch, the latest one if none is given."""
        branch = self.branch_id if branch_id is None else branch_id
        while branch > ROOT_BRANCH and self.forks[branch - 2].first_node > node_id:
            branch = self.forks[branch - 2].parent_id
        return branch

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

    def begin_invocation(self) -> None:
        self.invocation += 1
        self.node_id = 0

    def try_again(self, node_id: int) -> None:
        """Go back to where the log stood when the calls to come were tried before."""
        self.node_id, self.is_tried_again = node_id, True

    def fork(self, branch_id: int, first_node: int) -> int:
        """Begin a branch that shares the nodes before `first_node` with `branch_id`; return its id."""
        if not ROOT_BRANCH <= branch_id <= len(self.forks) + ROOT_BRANCH:
            raise InvalidArgument(f"there is no branch {branch_id}")
        if first_node < 1:
            raise InvalidArgument("nodes are numbered from 1")
        self.forks = (*self.forks, Fork(branch_id, first_node))
        self.branch_id = len(self.forks) + ROOT_BRANCH
        self.node_id = 0
        return self.branch_id

    def renumber(self, orders: Iterable[tuple[Node, int]]) -> None:
        """Go on after the highest order of those recorded that a fork kept."""
        kept = (order for node, order in orders if self.is_active(node))
        self.satisfied_order = max(kept, default=0)


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
    """The last order given out before the call was recorded. It is written, and not read back."""
    is_new: bool = False
    has_new_outcome: bool = False


@dataclass(slots=True)
class Log:
    """The known part of one task's log. Entries of other branches may be among those given."""

    task_id: UUID
    state: LogState
    entries: dict[Node, Entry] = field(default_factory=dict)
    created: list[Entry] = field(default_factory=list)
    changed: dict[Node, Entry] = field(default_factory=dict)
    """Entries that were there before and look different now."""
    _by_key: dict[str, Entry] = field(default_factory=dict)

    def add_known(self, entry: Entry) -> None:
        """Take an entry that was recorded before."""
        if entry.node not in self.entries:
            self.entries[entry.node] = entry
            if entry.dedupe_key and self.state.is_active(entry.node):
                self._by_key[entry.dedupe_key] = entry

    def nodes_of_keys(self, keys: Iterable[str]) -> list[int]:
        """Return the nodes of those children that are known by these keys."""
        return [self._by_key[key].node.node_id for key in keys if key in self._by_key]

    # Calls

    def memo(self, key: bytes) -> AnswerBody:
        node = self._next_node()
        wanted = Entry(node, DurableKind.MEMO, identities.memo_identity(key), "memo")
        found = self.entries.get(node)
        if found is None:
            self._add(wanted)
            return MemoAnswer(node, existed=False)
        if found.identity != wanted.identity:
            return self._mismatch(found, wanted)
        self._reach(node)
        return MemoAnswer(node, True, found.result if found.is_satisfied else None)

    def keep_memo(self, node: Node, payload: bytes, invocation: int) -> AnswerBody:
        """Keep a memo's value; the first one stays.

        It may be that of an earlier invocation, unless the present one has asked since: that was told to
        compute the value itself, and goes on with its own.
        """
        entry = self.entries.get(node)
        if entry is None or entry.kind is not DurableKind.MEMO:
            return Unknown()
        if invocation == self.state.invocation or node.node_id > self.state.node_id:
            self.satisfy(node, payload)
        return Stored()

    def wait(self, conditions: Sequence[WaitCondition], label: str | None = None) -> AnswerBody:
        node = self._next_node()
        wanted = Entry(
            node,
            DurableKind.WAIT_FOR,
            identities.wait_identity(conditions),
            identities.describe_wait(conditions),
            identities.wait_detail(conditions),
            label,
        )
        found = self.entries.get(node)
        if found is None:
            self._add(wanted)
        elif found.identity != wanted.identity:
            return self._mismatch(found, wanted)
        else:
            self._give_order(found)
        self._reach(node)
        return WaitAnswer(node)

    def spawn(
        self, children: Sequence[TriggerRequest], new_run_id: Callable[[], UUID]
    ) -> AnswerBody:
        """Give each child its node: a new one, or that of the child which has its key or its place.

        One child that is not the recorded one refuses them all.
        """
        latest = self.state.node_id
        answers: list[Entry] = []
        fresh: dict[Node, Entry] = {}
        keys: dict[str, Entry] = {}
        for child in children:
            key = identities.dedupe_key(child.child_key, child.child_index)
            node = self._place(latest + 1)
            wanted = Entry(
                node,
                DurableKind.RUN,
                identities.run_identity(child.workflow_name, child.input),
                identities.describe_run(child.workflow_name),
                identities.run_detail(child.workflow_name),
                dedupe_key=key,
            )
            found = (keys.get(key) or self._by_key.get(key)) if key else None
            if found is None:
                found = self.entries.get(node)
                is_checked = True
            else:
                is_checked = key not in keys and identities.is_index(key or "")
            if found is None:
                wanted.child_run_id = new_run_id()
                found = fresh[node] = wanted
            elif is_checked and found.identity != wanted.identity:
                return self._mismatch(found, wanted)
            if key:
                keys.setdefault(key, found)
            latest = max(latest, found.node.node_id)
            answers.append(found)
        for entry in fresh.values():
            self._add(entry)
        self.state.node_id = latest
        return SpawnAnswer(tuple((e.node, _run_of(e)) for e in answers))

    def register(self, signal_key: str, conditions: Sequence[WaitCondition]) -> Node | None:
        """Add a wait of the older API; None if its key is known. All of them must have been loaded."""
        known = [entry for entry in self.entries.values() if entry.node.branch_id == SIGNAL_BRANCH]
        if any(entry.dedupe_key == signal_key for entry in known):
            return None
        node = Node(SIGNAL_BRANCH, max((e.node.node_id for e in known), default=0) + 1)
        entry = Entry(
            node,
            DurableKind.WAIT_FOR,
            identities.wait_identity(conditions),
            identities.describe_wait(conditions),
            identities.wait_detail(conditions),
            dedupe_key=signal_key,
            is_new=True,
        )
        self.entries[node] = entry
        self.created.append(entry)
        return node

    # Outcomes

    def satisfy(self, node: Node, result: bytes, error: str | None = None) -> Completion | None:
        """Give an entry its outcome, and its order if somebody waits for it; only the first one counts.

        Return what its waiter is told; None if that is nothing new, or nobody waits yet.
        """
        entry = self.entries.get(node)
        if entry is None or entry.is_satisfied:
            return None
        entry.is_satisfied, entry.result, entry.error = True, result, error
        entry.has_new_outcome = True
        self._note(entry)
        self._give_order(entry)
        return self.completion(node)

    def await_node(self, node: Node) -> None:
        """Somebody waits for this node: a child gets its order when it is both complete and awaited."""
        entry = self.entries.get(node)
        if entry is None:
            return
        if entry.kind is DurableKind.RUN and not entry.is_awaited:
            entry.is_awaited = True
            self._note(entry)
        self._give_order(entry)

    def completion(self, node: Node) -> Completion | None:
        """Return what the waiter of a node is told; None before it is complete and in order."""
        entry = self.entries.get(node)
        if entry is None or not entry.is_satisfied or not self._is_told(entry):
            return None
        is_memo = entry.kind is DurableKind.MEMO
        return Completion(
            self.task_id,
            self.state.invocation,
            node,
            entry.kind,
            entry.order,
            as_object(entry.result) if is_memo else entry.result,
            entry.error,
            entry.dedupe_key if node.branch_id == SIGNAL_BRANCH else None,
        )

    def _is_told(self, entry: Entry) -> bool:
        if entry.node.branch_id == SIGNAL_BRANCH:
            return True
        is_active = self.state.is_active(entry.node)
        return is_active and (entry.kind is DurableKind.MEMO or entry.order is not None)

    def _give_order(self, entry: Entry) -> None:
        """Number a completion. One that came while its branch was left is numbered once that is back."""
        waits = entry.kind is DurableKind.WAIT_FOR or (
            entry.kind is DurableKind.RUN and entry.is_awaited
        )
        if waits and entry.is_satisfied and entry.order is None and self._counts(entry.node):
            self.state.satisfied_order += 1
            entry.order = self.state.satisfied_order
            self._note(entry)

    def _counts(self, node: Node) -> bool:
        return node.branch_id != SIGNAL_BRANCH and self.state.is_active(node)

    # Places

    def _place(self, node_id: int) -> Node:
        return Node(self.state.branch_of(node_id), node_id)

    def _next_node(self) -> Node:
        return self._place(self.state.node_id + 1)

    def _reach(self, node: Node) -> None:
        self.state.node_id = max(self.state.node_id, node.node_id)

    def _add(self, entry: Entry) -> None:
        entry.is_new, entry.recorded_after = True, self.state.satisfied_order
        self.entries[entry.node] = entry
        self.created.append(entry)
        if entry.dedupe_key:
            self._by_key.setdefault(entry.dedupe_key, entry)
        self._reach(entry.node)

    def _note(self, entry: Entry) -> None:
        if not entry.is_new:
            self.changed[entry.node] = entry

    def _mismatch(self, found: Entry, wanted: Entry) -> Mismatch:
        message = identities.mismatch_message(
            self.task_id,
            found.node,
            found.description,
            wanted.description,
        )
        return Mismatch(found.node, message)


def _run_of(entry: Entry) -> UUID:
    if entry.child_run_id is None:
        raise ValueError(f"the entry at {entry.node} has no run")
    return entry.child_run_id
