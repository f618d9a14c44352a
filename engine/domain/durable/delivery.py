"""What one worker's stream knows of one delivery of a durable task: which completions may be sent, and when.

Pure: it does no I/O and reads no clock. Four rules meet here. A node is acknowledged before it is
completed. A child's completion waits until the worker has said that it waits for it: a client hands
completions to its waiters strictly as they arrive and stops at one that nobody waits for. Completions
go out in their recorded order, in every delivery the same. And sending again is harmless.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Container, Iterable
from uuid import UUID

from engine.domain.durable.calls import Completion, Node

CROSSING_SECONDS = 1.0
"""A completion this young may have crossed with the worker's word that it still waits for it."""

CONFIRM_SECONDS = 20.0
"""How long a worker that was told of a completion may take to read it and go on. All clients soon say what they
have received, in their own ways, if only they wait for something else then."""

ARRIVAL_SECONDS = (math.inf, 3.0, 0.75)
"""How old a completion must be to be believed to have arrived, unless the worker says so: never, for a
worker may be slow to read and quick to give a task up. One that was given it back right after an eviction,
because a completion might not have arrived, and gives it up again, has read it meanwhile, but for bad luck."""

QUIET_SECONDS = 0.5
"""How long a completion waits for calls that were recorded before it, after the last call. Where equal calls
of coroutines changed places, those calls come only after it."""

STALL_SECONDS = (60.0, 15.0, 4.0, 1.0, 0.0)
"""How long a completion is held back for one that should come before it: at first for so long that user code
may take its time, but ever shorter if the deliveries before this one were evicted and restored at once. Where
equal calls of coroutines changed places nobody may ever ask for the other one, and the last of these times
lets a delivery go on however soon its worker gives it up."""


class Invocation:
    """One delivery of a durable task, on one stream.

    Invariants between calls: a node is in at most one of `_unasked`, `_wanted`, `_held` and `_sent`;
    `_expected` are the recorded orders that were not sent, ascending, none above `_highest`.
    """

    def __init__(self, task_id: UUID, count: int) -> None:
        self.task_id, self.count = task_id, count
        self._before: list[Completion] | None = []
        """Completions that came before `open`; None once that was called."""
        self._unasked: set[Node] = set()
        """Children that were acknowledged and that nobody has waited for yet."""
        self._wanted: set[Node] = set()
        self._unacknowledged: set[Node] = set()
        """Waits the worker was told of, and whose completions are kept until it has named them."""
        self._early: dict[Node, Completion] = {}
        """Completions of nodes that the worker was not told of, or does not wait for."""
        self._held: dict[int, Completion] = {}
        self._held_since: float | None = None
        self._quiet_since: float | None = None
        """Since when a completion waits for calls, and none came."""
        self._unordered: list[Completion] = []
        self._sent: dict[Node, tuple[float, float | None]] = {}
        """When each was sent, and the received order that proves that it arrived."""
        self._delivered_before: dict[Node, tuple[float, float | None]] = {}
        """The same of those that the worker asked for once more, and that may be on their way yet."""
        self._highest_delivered = 0
        """The highest order that was sent."""
        self._expected: list[int] = []
        self._highest = 0
        self._restored = 0
        """How many deliveries before this one, in a row, were evicted and restored at once."""
        self._reached = 0
        """The highest node that was acknowledged, and those below it that were not."""
        self._skipped: set[int] = set()
        self._reaches: list[tuple[int, int]] = []
        self._received = 0
        self._asked_again: set[Node] = set()
        """Nodes that were sent a moment ago and named since: perhaps before that arrived, perhaps anew."""
        self._shared: set[Node] = set()
        """Children that two calls led to: they are waited for twice."""
        self._unlisted: set[Node] = set()
        """Nodes that were sent, and that the worker did not name when it named all it waits for."""
        self.named_late: set[Node] = set()
        """Nodes the worker named after it gave the delivery up."""
        self._is_given_up = False
        self._memos: set[Node] = set()
        """Nodes whose outcomes the worker computes itself."""
        self.is_called = False
        """A call is being recorded: what is told before it is answered would be told after it in a replay."""
        self._has_branches = False
        self._passed: dict[Node, int] = {}
        """Orders of nodes acknowledged on an earlier stream, whose completions may have arrived there."""

    # What happened

    def open(
        self,
        recorded: Iterable[tuple[int, Node]],
        reached: int,
        received: int | None = None,
        reaches: Iterable[tuple[int, int]] = (),
        passed: Iterable[int] = (),
        restored: int = 0,
        given: int = 0,
    ) -> None:
        """Take the orders recorded so far.

        `reached` is the highest node this delivery acknowledged on earlier streams, `received` the
        highest order the worker says to have got there. What comes after both is still to be sent.
        `reaches` are (order, node), ascending: calls up to that node come before any higher order.
        `passed` are nodes before `reached` that were not acknowledged. `restored` says how many deliveries
        before this one, in a row, were evicted and restored at once with nothing new in the log. `given` is
        the last order given out: those that are not recorded are of branches that were left.
        """
        if self._before is None:
            return
        before, self._before = self._before, None
        self._restored, self._highest = restored, given
        self._reached = max(self._reached, reached)
        self._skipped.update(passed)
        self._reaches = list(reaches)
        for order, node in recorded:
            self._highest = max(self._highest, order)
            if received is not None and order <= received:
                continue
            if received is None and node.node_id <= reached and node.node_id not in self._skipped:
                self._passed[node] = order
            else:
                self._expect(order)
        self._received = received or 0
        for completion in before:
            self.complete(completion)

    @property
    def is_open(self) -> bool:
        return self._before is None

    def acknowledge(
        self,
        node: Node,
        *,
        needs_waiter: bool,
        is_unacknowledged: bool = False,
        is_memo: bool = False,
    ) -> None:
        """The worker is told of this node. A child is completed only when somebody waits for it.

        So is what `is_unacknowledged`, until that is given up: a call that comes before is one of another branch.
        A call that was told of a completed node before gets its completion again.
        """
        self._quiet_since, self.is_called = None, False
        self._skipped.discard(node.node_id)
        self._skipped.update(range(self._reached + 1, node.node_id))
        self._reached = max(self._reached, node.node_id)
        if needs_waiter and (node in self._unasked or node in self._wanted):
            self._shared.add(node)
        if node in self._wanted or self._is_held(node):
            return
        self._sent.pop(node, None)
        self._expect_passed(node)
        if is_memo:
            self._memos.add(node)
        if needs_waiter:
            self._unasked.add(node)
        else:
            self._want(node)
            if is_unacknowledged:
                self._unacknowledged.add(node)

    def wait(self, node: Node, now: float) -> bool:
        """The worker waits for this node; return whether its completion is to be looked up.

        It may do so again although it has received the completion: two calls can lead to one child.
        """
        self._unacknowledged.discard(node)
        if self._is_given_up:
            self.named_late.add(node)
        if node in self._wanted or self._is_held(node):
            return False
        if node in self._sent:
            sent_at, order = self._sent[node]
            was_received = order is not None and order <= self._received
            if node in self._shared:
                self._shared.discard(node)
            elif not was_received and now - sent_at < CROSSING_SECONDS:
                self._asked_again.add(node)
                return False
            self._delivered_before[node] = self._sent[node]
        self._sent.pop(node, None)
        self._asked_again.discard(node)
        self._unasked.discard(node)
        self._expect_passed(node)
        return self._want(node)

    def confirm(self, received: int) -> None:
        """The worker says the highest order it has received."""
        self._received = max(self._received, received)

    def stop_awaiting_acknowledgement(self, node: Node) -> None:
        """The worker did not say that it waits for this node, and may be one that does not."""
        self._unacknowledged.discard(node)

    def note_list(self, nodes: Container[Node], now: float) -> None:
        """The worker named all the nodes it waits for: what it was sent before has arrived."""
        for node, (sent_at, _) in self._sent.items():
            if node not in nodes and now - sent_at >= CROSSING_SECONDS:
                self._unlisted.add(node)
                self._asked_again.discard(node)

    def complete(self, completion: Completion) -> None:
        """Take the outcome of a node, known to the worker or not."""
        if self._before is not None:
            self._before.append(completion)
            return
        node, order = completion.node, completion.order
        if order is not None:
            if order > self._highest:
                self._restored = 0
            for missing in range(self._highest + 1, order + 1):
                self._expect(missing)
            self._highest = max(self._highest, order)
        if node in self._wanted:
            self._wanted.discard(node)
            self._hold(completion)
        elif node not in self._sent and not self._is_held(node):
            self._early[node] = completion

    # What follows

    def take(self, now: float) -> list[Completion]:
        """Return, once, what is to be sent, in this order: nothing while the delivery is being evicted."""
        if self._is_given_up:
            return []
        sending, self._unordered = self._unordered, []
        for order in () if self.is_called else sorted(self._held):
            if self._expected and self._expected[0] < order:
                self._quiet_since = None
                break
            if self._is_ahead(order):
                self._quiet_since = now if self._quiet_since is None else self._quiet_since
                if now - self._quiet_since < self._quiet_seconds:
                    break
            self._quiet_since = None
            if self._held[order].node in self._unacknowledged:
                break
            if self._expected and self._expected[0] == order:
                del self._expected[0]
            sending.append(self._held.pop(order))
        for completion in sending:
            self._sent[completion.node] = (now, self._note_told(completion.order))
            self._delivered_before.pop(completion.node, None)
            self._unlisted.discard(completion.node)
        if not self._held:
            self._held_since = None
        elif sending or self._held_since is None:
            self._held_since = now
        return sending

    def keep(self) -> None:
        """The delivery was given up and could not be evicted: it goes on."""
        self._is_given_up = False

    def give_up_order(self, now: float) -> bool:
        """Let go what was held back for too long, because what should come before does not come."""
        if self._held_since is None or now - self._held_since < self._stall_seconds:
            return False
        lowest, expected, reaches = min(self._held), len(self._expected), len(self._reaches)
        del self._expected[: bisect_left(self._expected, lowest)]
        self._reaches = [reach for reach in self._reaches if reach[0] >= lowest]
        return (len(self._expected), len(self._reaches)) != (expected, reaches)

    # Questions

    def wanted(self) -> list[Node]:
        """Return the nodes whose completions would be of use now."""
        return sorted(self._wanted)

    def may_go_on(self, now: float) -> bool:
        """Say whether the worker was told of a completion and did not confirm it: it may be about to read it."""
        delivered = (*self._sent.items(), *self._delivered_before.items())
        return any(
            not self._has_arrived(node, order) and now - sent_at < CONFIRM_SECONDS
            for node, (sent_at, order) in delivered
        )

    @property
    def is_waiting(self) -> bool:
        """Whether the worker waits for something, and not only for what it computes itself."""
        return bool(self._held) or not self._wanted <= self._memos

    def give_up(self, now: float) -> list[Node]:
        """Return the nodes the worker may still wait for: their completions may not have arrived.

        From now on nothing is sent, so that the worker does not go on while it is evicted.
        """
        self._is_given_up = True
        patience = ARRIVAL_SECONDS[min(self._restored, len(ARRIVAL_SECONDS) - 1)]
        nodes = {*self._wanted, *(completion.node for completion in self._held.values())}
        for node, (sent_at, order) in self._sent.items():
            is_on_its_way = not self._has_arrived(node, order) and now - sent_at < patience
            if node in self._asked_again or is_on_its_way:
                nodes.add(node)
        return sorted(nodes)

    def note_call(self) -> bool:
        """The worker makes a call; say whether it ever made one while it waited: one of another branch."""
        self._has_branches = self._has_branches or bool(self._wanted or self._held)
        return self._has_branches

    @property
    def delivered_order(self) -> int | None:
        """The last order the worker was told of; None if that was on another stream, and it did not say."""
        is_unsure = self._before is not None or (self._passed and not self._received)
        return None if is_unsure else max(self._received, self._highest_delivered)

    def pause(self, now: float) -> float | None:
        """Return after how long something may go out by itself; None if that is not to be watched closely."""
        if self.is_called:
            return None
        if self._quiet_since is not None:
            return self._quiet_since + self._quiet_seconds - now
        if self._restored and self._held_since is not None and self._expected:
            is_held_back = self._expected[0] < min(self._held)
            return self._held_since + self._stall_seconds - now if is_held_back else None
        return None

    @property
    def is_holding(self) -> bool:
        return bool(self._held)

    # Parts

    def _has_arrived(self, node: Node, order: float | None) -> bool:
        return order is None or order <= self._received or node in self._unlisted

    @property
    def _stall_seconds(self) -> float:
        return STALL_SECONDS[min(self._restored, len(STALL_SECONDS) - 1)]

    @property
    def _quiet_seconds(self) -> float:
        return min(QUIET_SECONDS, self._stall_seconds)

    def _note_told(self, order: int | None) -> float | None:
        """Return from which received order on the worker has got this one, which is told now."""
        if order is not None and (order < self._highest_delivered or order <= self._received):
            # It was given up, or is told once more, and the worker says only the highest one.
            return math.inf
        self._highest_delivered = max(self._highest_delivered, order or 0)
        return order

    def _want(self, node: Node) -> bool:
        """Return whether the outcome is not known here."""
        completion = self._early.pop(node, None)
        if completion is None:
            self._wanted.add(node)
            return True
        self._hold(completion)
        return False

    def _hold(self, completion: Completion) -> None:
        if completion.order is None:
            self._unordered.append(completion)
        else:
            self._held[completion.order] = completion

    def _is_ahead(self, order: int) -> bool:
        """Say whether calls were recorded before this order, and are still to be made again.

        Whoever is told earlier than that makes his next call in their place.
        """
        at = bisect_left(self._reaches, (order, 0))
        if at == 0:
            return False
        last = self._reaches[at - 1][1]
        return last > self._reached or any(node_id <= last for node_id in self._skipped)

    def _expect_passed(self, node: Node) -> None:
        """What this delivery was told of before is still to come: the worker asks for it again."""
        if node in self._passed:
            self._expect(self._passed.pop(node))

    def _expect(self, order: int) -> None:
        at = bisect_left(self._expected, order)
        if at == len(self._expected) or self._expected[at] != order:
            insort(self._expected, order)

    def _is_held(self, node: Node) -> bool:
        return any(completion.node == node for completion in self._held.values())
