"""A worker as the official Python client behaves: what it sends when, and whom it hands completions to.

Completions of one delivery of a task are handed out strictly as they arrive, and not beyond the first that
nobody waits for. A broken stream fails the calls that are not acknowledged, and keeps the waits.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from engine.domain.durable.calls import Call, CallBody, MemoAnswer, Node, SpawnAnswer, WaitAnswer
from engine.runtime.durable.lanes import Evict
from engine.runtime.durable.replies import (
    Acknowledged,
    Completed,
    EvictionTaken,
    Failed,
    Registered,
    Reply,
    Superseded,
)

if TYPE_CHECKING:
    from tests.simulation.wire import Wire
    from tests.simulation.world import World

RECONNECT_SECONDS = 3.0
ACK_SECONDS = 60.0
EVICTION_ACK_SECONDS = 30.0
STATUS_SECONDS = 5.0
LONG_PENDING_SECONDS = 2.0

Delivery = tuple[UUID, int]


class Status(NamedTuple):
    """What the worker says it waits for, and the highest orders it received."""

    entries: list[tuple[UUID, int, Node]]
    received: dict[Delivery, int]


Request = Call | Evict | Status


class Disconnected(Exception):
    """A call was not acknowledged."""


@dataclass
class Inbox:
    """Completions of one delivery, and what was seen of it."""

    pending: deque[tuple[Node, Completed]] = field(default_factory=deque)
    delivered: set[Node] = field(default_factory=set)
    acknowledged: set[Node] = field(default_factory=set)
    last_order: int = 0
    highest: int = 0


class Listener:
    """The one stream of a worker, over which all its durable tasks speak."""

    def __init__(self, world: World, worker_id: UUID, dice: random.Random, *, is_old: bool) -> None:
        self.world, self.worker_id, self.dice, self.is_old = world, worker_id, dice, is_old
        self.wire: Wire | None = None
        self.lost = asyncio.Event()
        """The stream broke."""
        self._unsent: list[Request] = []
        self._acks: dict[Delivery, asyncio.Future[Acknowledged]] = {}
        self._evictions: dict[Delivery, asyncio.Future[None]] = {}
        self._callbacks: dict[Delivery, dict[Node, asyncio.Future[Completed]]] = {}
        self._since: dict[tuple[Delivery, Node], float] = {}
        self._new: set[tuple[Delivery, Node]] = set()
        self._is_status_due = False
        self.inboxes: dict[Delivery, Inbox] = {}

    # Requests

    def send(self, request: Request) -> None:
        if self.wire is None:
            self._unsent.append(request)
        else:
            self.wire.send(request)

    async def call(self, delivery: Delivery, body: CallBody) -> Acknowledged:
        task_id, count = delivery
        ack: asyncio.Future[Acknowledged] = asyncio.get_running_loop().create_future()
        self._acks[delivery] = ack
        self.send(Call(self.world.tenant_id, task_id, count, body))
        async with asyncio.timeout(ACK_SECONDS):
            return await ack

    def tell(self, delivery: Delivery, body: CallBody) -> None:
        """Send what is not acknowledged."""
        self.send(Call(self.world.tenant_id, *delivery, body))

    async def evict(self, delivery: Delivery) -> None:
        ack: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._evictions[delivery] = ack
        self.send(Evict(*delivery, "it only waits"))
        async with asyncio.timeout(EVICTION_ACK_SECONDS):
            await ack

    def expect(self, delivery: Delivery, node: Node) -> asyncio.Future[Completed]:
        """Have somebody wait for a node."""
        waiting = self._callbacks.setdefault(delivery, {})
        if node not in waiting:
            waiting[node] = asyncio.get_running_loop().create_future()
            self._since[delivery, node] = self.world.loop.time()
            self._new.add((delivery, node))
        found = waiting[node]
        self._drain(delivery)
        return found

    async def wait(self, delivery: Delivery, node: Node) -> Completed:
        found = self.expect(delivery, node)
        if not found.done() and not self._is_status_due:
            self._is_status_due = True
            self.world.loop.call_soon(self._send_new_status)
        return await found

    def _send_new_status(self) -> None:
        self._is_status_due = False
        keys = self._all_waiting() if self.is_old else [k for k in self._new if self._is_waited(*k)]
        self._new.clear()
        self._send_status(sorted(keys))

    def _send_status(self, keys: list[tuple[Delivery, Node]]) -> None:
        if not keys:
            return
        received = (
            {} if self.is_old else {d: b.highest for d, b in self.inboxes.items() if b.highest}
        )
        named = {delivery for delivery, _ in keys}
        entries = [(*delivery, node) for delivery, node in keys]
        self.send(Status(entries, {d: order for d, order in received.items() if d in named}))

    def _is_waited(self, delivery: Delivery, node: Node) -> bool:
        return node in self._callbacks.get(delivery, {})

    def _all_waiting(self) -> list[tuple[Delivery, Node]]:
        return [(delivery, node) for delivery, nodes in self._callbacks.items() for node in nodes]

    async def repeat(self) -> None:
        """Say again and again what has been waited for for long."""
        while True:
            await asyncio.sleep(1.0 if self.is_old else STATUS_SECONDS)
            cutoff = self.world.loop.time() - (0 if self.is_old else LONG_PENDING_SECONDS)
            if self.wire is not None:
                keys = self._all_waiting()
                self._send_status([key for key in keys if self._since.get(key, 0) <= cutoff])

    # The stream

    def connected(self, wire: Wire) -> None:
        self.wire = wire
        self.lost.clear()
        carried, self._unsent = self._unsent, []
        self._new.clear()
        self._send_status(self._all_waiting())
        for request in carried:
            wire.send(request)

    def disconnected(self) -> None:
        self.wire = None
        self.lost.set()
        for ack in self._acks.values():
            _reject(ack)
        for eviction in self._evictions.values():
            _reject(eviction)
        self._acks.clear()
        self._evictions.clear()

    def receive(self, reply: Reply) -> None:
        match reply:
            case Acknowledged(task_id, count, body):
                self._note(task_id, count, body)
                ack = self._acks.pop((task_id, count), None)
                if ack is not None and not ack.done():
                    ack.set_result(reply)
            case Completed():
                self._complete(reply)
            case EvictionTaken(task_id, count):
                taken = self._evictions.pop((task_id, count), None)
                if taken is not None and not taken.done():
                    taken.set_result(None)
            case Superseded(task_id, count):
                self.forget(task_id, count)
                self.world.superseded(self.worker_id, (task_id, count))
            case Failed(task, count, message):
                self._fail((UUID(task), count), message)
            case Registered():
                pass

    def _note(self, task_id: UUID, count: int, body: MemoAnswer | SpawnAnswer | WaitAnswer) -> None:
        inbox = self.inboxes.setdefault((task_id, count), Inbox())
        if isinstance(body, SpawnAnswer):
            inbox.acknowledged |= {node for node, _ in body.children}
        else:
            inbox.acknowledged.add(body.node)

    def _fail(self, delivery: Delivery, message: str) -> None:
        if "the database cannot be reached" not in message:
            self.world.broken(f"{delivery} was answered: {message}")
        _reject(self._acks.pop(delivery, None))
        _reject(self._evictions.pop(delivery, None))

    def _complete(self, reply: Completed) -> None:
        completion = reply.completion
        delivery, node = (completion.task_id, completion.invocation), completion.node
        inbox = self.inboxes.setdefault(delivery, Inbox())
        if self.world.is_running(self.worker_id, delivery):
            self.world.check_completion(completion, inbox)
        inbox.highest = max(inbox.highest, completion.order or 0)
        if self.is_old or node in inbox.delivered:
            if self.is_old and node not in inbox.delivered:
                inbox.pending.append((node, reply))
                self._drain(delivery)
            elif all(node != key for key, _ in inbox.pending):
                self._hand_over(delivery, node, reply)
            return
        inbox.last_order = max(inbox.last_order, completion.order or 0)
        inbox.delivered.add(node)
        inbox.pending.append((node, reply))
        self._drain(delivery)

    def _hand_over(self, delivery: Delivery, node: Node, reply: Completed) -> bool:
        waiter = self._callbacks.get(delivery, {}).pop(node, None)
        if waiter is None:
            return False
        self._since.pop((delivery, node), None)
        if not waiter.done():
            waiter.set_result(reply)
        return True

    def _drain(self, delivery: Delivery) -> None:
        inbox = self.inboxes.setdefault(delivery, Inbox())
        if self.is_old:
            rest = [item for item in inbox.pending if not self._hand_over(delivery, *item)]
            inbox.pending = deque(rest)
            return
        while inbox.pending and self._hand_over(delivery, *inbox.pending[0]):
            inbox.pending.popleft()

    def forget(self, task_id: UUID, count: int) -> None:
        """Drop what is known of a delivery and of those before it."""
        for delivery in [d for d in self._callbacks if d[0] == task_id and d[1] <= count]:
            for waiter in self._callbacks.pop(delivery).values():
                waiter.cancel()
        for delivery in [d for d in self._acks if d[0] == task_id and d[1] <= count]:
            self._acks.pop(delivery).cancel()
        for delivery in [d for d in self.inboxes if d[0] == task_id and d[1] <= count]:
            del self.inboxes[delivery]


def _reject(pending: asyncio.Future[Any] | None) -> None:
    if pending is not None and not pending.done():
        pending.set_exception(Disconnected())
        pending.exception()  # nobody may be waiting for it
