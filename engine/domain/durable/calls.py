"""What a durable task asks of its log, and what it is answered.

A durable task is started anew as often as need be, and each time makes the same calls in the same order.
Its log has one entry for each call. An entry's place is a branch and a node: calls take nodes in order,
and a call that finds an entry at its place is answered from it instead of being carried out again.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.states import ConditionKind, DurableKind
from engine.types import TriggerRequest

ROOT_BRANCH = 1
CURRENT_BRANCH = 0
"""What clients send for the branch a task is on when they do not know its number."""
SIGNAL_BRANCH = 0
"""Where waits of the older API are kept: they have a key and no place in the log."""


class Node(NamedTuple):
    """The place of an entry in the log of a durable task."""

    branch_id: int
    node_id: int


# Calls


class MemoCall(NamedTuple):
    """Ask for the value kept under `key` at the next node. Two memos may have the same key."""

    key: bytes


class MemoResult(NamedTuple):
    """Keep the value of a memo; the first one stays."""

    node: Node
    payload: bytes


class SpawnCall(NamedTuple):
    """Start children. Parent ids in the requests are not looked at: the parent is the durable task."""

    children: tuple[TriggerRequest, ...]


class WaitCondition(NamedTuple):
    """A sleep or an event. Conditions of one group are alternatives; all groups must be met.

    `source` is the sleep's duration as the client wrote it, or the event's key. `since` lets an event
    that was pushed before count; it needs a `scope`.
    """

    kind: ConditionKind
    group: UUID
    source: str
    data_key: str
    expression: str = ""
    scope: str | None = None
    since: datetime | None = None


class WaitCall(NamedTuple):
    conditions: tuple[WaitCondition, ...]
    label: str | None = None


CallBody = MemoCall | MemoResult | SpawnCall | WaitCall


class Call(NamedTuple):
    """One call of one delivery of a durable task; `invocation` numbers the deliveries from 1.

    `is_of_branch`: the delivery made calls while it waited, so its program runs branches side by side.
    `delivered_order` is the last order the delivery was sent before it made the call; None if that is not known.
    """

    tenant_id: UUID
    task_id: UUID
    invocation: int
    body: CallBody
    is_of_branch: bool = False
    delivered_order: int | None = None

    @property
    def looks_back(self) -> bool:
        """Whether an event that was pushed before may answer it."""
        return isinstance(self.body, WaitCall) and any(
            condition.since is not None and condition.scope is not None
            for condition in self.body.conditions
        )


# Answers


class MemoAnswer(NamedTuple):
    """`payload` is None if the value was never handed in: the worker is to compute it."""

    node: Node
    existed: bool
    payload: bytes | None = None


class SpawnAnswer(NamedTuple):
    """Node and run of each child, in the order of the call."""

    children: tuple[tuple[Node, UUID], ...]


class WaitAnswer(NamedTuple):
    node: Node


class Stored(NamedTuple):
    """A memo's value was taken, or was there before."""


class Mismatch(NamedTuple):
    """The call is another than the one recorded at `node`; nothing was written."""

    node: Node
    message: str


class Stale(NamedTuple):
    """This delivery is not the present one any more, or the task does not run: it is to stop."""


class Unknown(NamedTuple):
    """The tenant has no such durable task, or the log no such entry."""


class Refused(NamedTuple):
    """The call cannot be carried out; nothing was written."""

    message: str


AnswerBody = MemoAnswer | SpawnAnswer | WaitAnswer | Stored | Mismatch | Stale | Unknown | Refused


class Completion(NamedTuple):
    """The outcome of an entry, for the present delivery of its task.

    `order` numbers the completions of waits and awaited children of a task from 1: every delivery gets
    them in this order. Memos have none. `payload` is a JSON object or empty. `error` is None unless the
    entry is a child that failed. `signal` is the key of a wait of the older API, which has no node.
    """

    task_id: UUID
    invocation: int
    node: Node
    kind: DurableKind
    order: int | None
    payload: bytes
    error: str | None = None
    signal: str | None = None


class Answer(NamedTuple):
    """What a call is answered, and what is to be sent right after: entries that were complete already."""

    body: AnswerBody
    completions: tuple[Completion, ...] = ()
