"""The log of one durable task: which call gets which node, and when a call is not the recorded one.

Pure. It holds the part of the log that the calls at hand may touch, answers them one after the other, and
notes down what has to be written. Whoever uses it holds the lock on the task's row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from engine.domain.durable import identity as identities
from engine.domain.durable.calls import (
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
from engine.domain.durable.results import as_object
from engine.domain.durable.state import Entry, LogState
from engine.states import DurableKind
from engine.types import TriggerRequest

_NOWHERE = Node(0, 0)


class Incomplete(NamedTuple):
    """It takes all entries to come to answer the call: `add_rest`, and make it again."""


Found = Entry | Mismatch | Incomplete | None


@dataclass(slots=True)
class Log:
    """The known part of one task's log. Entries of other branches may be among those given."""

    task_id: UUID
    state: LogState
    entries: dict[Node, Entry] = field(default_factory=dict)
    created: list[Entry] = field(default_factory=list)
    changed: dict[Node, Entry] = field(default_factory=dict)
    """Entries that were there before and look different now."""
    delivered_order: int | None = None
    """The last order that the invocation whose call is taken was told of; None if that is not known."""
    is_complete: bool = False
    """All entries to come are known, some in outline only: without what they came to."""
    outlines: set[Node] = field(default_factory=set)
    _may_change_places: bool = False
    _by_key: dict[str, Entry] = field(default_factory=dict)

    def add_known(self, entry: Entry) -> None:
        """Take an entry that was recorded before."""
        if entry.node not in self.entries:
            self.entries[entry.node] = entry
            if entry.dedupe_key and self.state.is_active(entry.node):
                self._by_key[entry.dedupe_key] = entry

    def add_rest(self, outlines: Iterable[Entry], *, may_change_places: bool) -> None:
        """Take all entries to come, without what they came to.

        `may_change_places`: several branches of the program run side by side.
        """
        for entry in outlines:
            if entry.node not in self.entries:
                self.outlines.add(entry.node)
            self.add_known(entry)
        self.is_complete = True
        self._may_change_places = may_change_places

    def fill(self, entry: Entry) -> None:
        """Take what an entry came to that was known in outline."""
        known = self.entries[entry.node]
        if not known.has_new_outcome:
            known.result, known.error = entry.result, entry.error
        self.outlines.discard(entry.node)

    # Calls

    def memo(self, key: bytes) -> AnswerBody | Incomplete:
        wanted = Entry(_NOWHERE, DurableKind.MEMO, identities.memo_identity(key), "memo")
        found = self._find(wanted)
        if isinstance(found, Mismatch | Incomplete):
            return found
        if found is None:
            return MemoAnswer(self._add(wanted).node, existed=False)
        return self.memo_answer(found.node)

    def memo_answer(self, node: Node) -> MemoAnswer:
        """Return what a memo that is recorded is answered."""
        found = self.entries[node]
        return MemoAnswer(node, True, found.result if found.is_satisfied else None)

    def keep_memo(self, node: Node, payload: bytes, invocation: int) -> AnswerBody:
        """Keep a memo's value; the first one stays.

        It may be that of an earlier invocation, unless the present one has asked since: that was told to
        compute the value itself, and goes on with its own.
        """
        entry = self.entries.get(node)
        if entry is None or entry.kind is not DurableKind.MEMO:
            return Unknown()
        if invocation == self.state.invocation or not self.state.has_made(node.node_id):
            self.satisfy(node, payload)
        return Stored()

    def wait(
        self, conditions: Sequence[WaitCondition], label: str | None = None
    ) -> AnswerBody | Incomplete:
        wanted = Entry(
            _NOWHERE,
            DurableKind.WAIT_FOR,
            identities.wait_identity(conditions),
            identities.describe_wait(conditions),
            identities.wait_detail(conditions),
            label,
            identities.scope_key(conditions),
        )
        found = self._find(wanted)
        if isinstance(found, Mismatch | Incomplete):
            return found
        if found is not None:
            self._give_order(found)
        return WaitAnswer((found or self._add(wanted)).node)

    def spawn(
        self, children: Sequence[TriggerRequest], new_run_id: Callable[[], UUID]
    ) -> AnswerBody | Incomplete:
        """Give each child its node: a new one, or that of the child which has its key or its place.

        One child that is not the recorded one refuses them all.
        """
        before = self.state.node_id, self.state.passed
        answers: list[Entry] = []
        fresh: list[Entry] = []
        keys: dict[str, Entry] = {}
        for child in children:
            key = identities.dedupe_key(child.child_key, child.child_index)
            wanted = Entry(
                _NOWHERE,
                DurableKind.RUN,
                identities.run_identity(child.workflow_name, child.input),
                identities.describe_run(child.workflow_name),
                identities.run_detail(child.workflow_name),
                dedupe_key=key,
            )
            found = (keys.get(key) if key else None) or self._find_child(wanted)
            if isinstance(found, Mismatch | Incomplete):
                self.state.node_id, self.state.passed = before
                return found
            if found is None:
                found = wanted
                found.node, found.child_run_id = self._new_place(), new_run_id()
                self.state.reach(found.node.node_id, passes=self._is_free)
                fresh.append(found)
            if key:
                keys.setdefault(key, found)
            answers.append(found)
        for entry in fresh:
            self._add_at(entry)
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
            self.state.restored = 0
            entry.order = self.state.satisfied_order
            self._note(entry)

    def _counts(self, node: Node) -> bool:
        return node.branch_id != SIGNAL_BRANCH and self.state.is_active(node)

    # Places

    @property
    def _is_free(self) -> bool:
        """Whether branches of the program made, or may make, their calls in another order than before."""
        return self.state.passed is not None or self._may_change_places

    def _find(self, wanted: Entry) -> Found:
        """Return the entry that a call made before, None if it is new, or that it is not as recorded.

        As long as the program has one branch it is the next one. Otherwise it is the first of those not
        made yet that has the call's identity; it takes the whole log to say that there is none.
        """
        expected = None
        if self.state.passed and not self.is_complete:
            return Incomplete()
        for entry in self._not_made():
            if self._is_same(entry, wanted):
                self.state.reach(entry.node.node_id, passes=self._is_free)
                return entry
            expected = expected or entry
        is_next_known = self.state.place(self.state.node_id + 1) in self.entries
        if expected is None or (self._is_free and (self.is_complete or not is_next_known)):
            return None
        return self._mismatch(expected, wanted)

    def _not_made(self) -> Iterator[Entry]:
        """Yield the entries this invocation may come to next: those passed, and as many as are known ahead."""
        for node_id in self.state.passed or ():
            yield self.entries[self.state.place(node_id)]
        ahead = self.state.node_id + 1
        while (entry := self.entries.get(self.state.place(ahead))) is not None:
            yield entry
            if not (self._is_free and self.is_complete):
                break
            ahead += 1

    def _is_same(self, entry: Entry, wanted: Entry) -> bool:
        """A child's key, or a wait's scope, is no part of the identity, but tells it from other branches'."""
        if entry.identity != wanted.identity:
            return False
        key = entry.dedupe_key
        if key is None or identities.is_index(key) or key == wanted.dedupe_key:
            return True
        return self.is_complete and not self._is_free

    def _find_child(self, wanted: Entry) -> Found:
        """As `_find`. A child is also found by its key, or else by its index.

        Clients count the index up: it names another child if branches make their calls in another order.
        """
        key = wanted.dedupe_key
        known = self._by_key.get(key) if key else None
        if known is None or key is None:
            return self._find(wanted)
        if identities.is_index(key):
            is_same = known.identity == wanted.identity
            is_taken = self.state.passed is not None and self.state.has_made(known.node.node_id)
            if self._is_free and (not is_same or is_taken):
                wanted.dedupe_key = None
                return self._find(wanted)
            if not is_same:
                return self._mismatch(known, wanted)
        if known.node.node_id > self.state.node_id + 1 and not self.is_complete:
            return Incomplete()
        self.state.reach(known.node.node_id, passes=self._is_free)
        return known

    def _new_place(self) -> Node:
        """Return the place after all that is recorded."""
        node_id = self.state.node_id + 1
        while (node := self.state.place(node_id)) in self.entries:
            node_id += 1
        return node

    def _add(self, entry: Entry) -> Entry:
        entry.node = self._new_place()
        self.state.reach(entry.node.node_id, passes=self._is_free)
        return self._add_at(entry)

    def _add_at(self, entry: Entry) -> Entry:
        last = self.state.satisfied_order
        entry.is_new, entry.recorded_after = (
            True,
            last if self.delivered_order is None else min(self.delivered_order, last),
        )
        self.state.restored = 0
        self.entries[entry.node] = entry
        self.created.append(entry)
        if entry.dedupe_key:
            self._by_key.setdefault(entry.dedupe_key, entry)
        return entry

    def _note(self, entry: Entry) -> None:
        if not entry.is_new:
            self.changed[entry.node] = entry

    def _mismatch(self, found: Entry, wanted: Entry) -> Mismatch | Incomplete:
        if not self.is_complete:
            return Incomplete()
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
