"""One worker's open stream about its durable tasks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from uuid import UUID

from engine.config import MEBIBYTE
from engine.domain.durable.calls import (
    Answer,
    AnswerBody,
    Call,
    Completion,
    MemoAnswer,
    MemoResult,
    Mismatch,
    Node,
    Refused,
    SpawnAnswer,
    Stale,
    Stored,
    Unknown,
    WaitAnswer,
)
from engine.domain.durable.delivery import Invocation
from engine.errors import HatchetError, Unavailable
from engine.operations.durable.await_nodes import Waiting
from engine.operations.durable.read_logs import Opening
from engine.runtime.durable.evictions import Evictions
from engine.runtime.durable.lanes import Evict, Lanes, Request
from engine.runtime.durable.ports import StreamService
from engine.runtime.durable.replies import (
    Acknowledged,
    Completed,
    Failed,
    Registered,
    Reply,
    Superseded,
    nodes_of,
    size_of,
)
from engine.runtime.outbox import Outbox
from engine.states import DurableKind

log = logging.getLogger("hatchet.durable")

CONFIRM_SECONDS = 0.05
"""A worker says at once that it waits; a replay is told of a completion then, or after this time."""
MOST_UNSENT, MOST_UNSENT_BYTES = 50_000, 64 * MEBIBYTE
"""Replies that a worker does not take off its stream: it asks for the rest on its next one."""
LOOKED_UP_AT_ONCE = 1_000

_SUPERSEDED = "This delivery of the task is over."


class DurableStream:
    """Takes a worker's requests, each task's in order; iterate it for the replies."""

    def __init__(self, tenant_id: UUID, service: StreamService) -> None:
        self.tenant_id = tenant_id
        self._service = service
        self._lanes = Lanes(self._answer)
        self._evictions = Evictions(self, service)
        self._invocations: dict[UUID, Invocation] = {}
        self.unread: Outbox[Reply] = Outbox(
            size_of, most_items=MOST_UNSENT, most_bytes=MOST_UNSENT_BYTES
        )
        self._names_orders = False
        """The worker says what it received; its lists of what it waits for may be partial, then."""
        self._is_closed = False

    def __aiter__(self) -> AsyncIterator[Reply]:
        return aiter(self.unread)

    def end(self) -> None:
        """Let the iteration end."""
        self.unread.end()

    async def drain(self, seconds: float) -> None:
        """Answer what was asked, within some time, and end: what is not answered fails the attempt."""
        try:
            async with asyncio.timeout(seconds):
                await self._lanes.wait_until_idle()
        except TimeoutError:
            log.warning("a durable stream was ended before everything on it was answered")
        self.end()

    def close(self) -> None:
        """The stream is over: forget what it knew. The worker says it all again on its next one."""
        self._is_closed = True
        for task_id in list(self._invocations):
            self.drop(task_id)
        self._service.closed(self)

    # Requests

    def register(self, worker_id: str) -> None:
        self.reply(Registered(worker_id))

    def refuse(self, task_id: str, invocation: int, message: str, node: Node | None = None) -> None:
        self.reply(Failed(task_id, invocation, message, node))

    async def take(self, request: Request) -> None:
        """Take a request about one task; those before it about the same task are answered first."""
        await self._lanes.enter()
        if self._lanes.put(request):
            self._service.spawn(self._lanes.run(request.task_id), "answering a durable task")

    async def take_status(
        self, entries: Sequence[tuple[UUID, int, Node]], received: Mapping[tuple[UUID, int], int]
    ) -> None:
        """Take the worker's word which (task, invocation, node) it waits for, and what it received."""
        await self._lanes.enter()
        self._service.spawn(self._follow_status(entries, received), "answering a worker's status")

    async def _answer(self, request: Request) -> None:
        try:
            if isinstance(request, Evict):
                await self._evictions.evict(request)
            else:
                await self._carry_out(request)
        except HatchetError as error:
            self.refuse(str(request.task_id), request.invocation, str(error))
        except Exception:
            log.exception("task %s: a durable call failed", request.task_id)
            self.refuse(str(request.task_id), request.invocation, "internal error")
        known = self._invocations.get(request.task_id)
        if known is not None and known.is_called:
            known.is_called = False
            self._send(known)
        if known is not None and not isinstance(request, Evict):
            self._evictions.reconsider(known)

    # Calls

    async def _carry_out(self, call: Call) -> None:
        invocation = self.invocation_of(call.task_id, call.invocation)
        if invocation is not None:
            call = call._replace(
                is_of_branch=invocation.note_call(), delivered_order=invocation.delivered_order
            )
            invocation.is_called = not isinstance(call.body, MemoResult)
        answer = await self._service.record(call)
        body = answer.body
        match body:
            case Stale():
                self._supersede(call.task_id, call.invocation)
                # A worker that goes on after it gave the task up was woken as it did so.
                await self._service.restore(self.tenant_id, call.task_id)
            case Unknown():
                self._forget_unopened(call.task_id)
                self.refuse(str(call.task_id), call.invocation, "there is no such durable task")
            case Refused(message):
                self._forget_unopened(call.task_id)
                self.refuse(str(call.task_id), call.invocation, message)
            case Mismatch(node, message):
                self.refuse(str(call.task_id), call.invocation, message, node)
            case Stored():
                self._complete(invocation, answer)
            case MemoAnswer() | SpawnAnswer() | WaitAnswer():
                nodes = nodes_of(body)
                if invocation is not None:
                    await self.open(invocation, nodes)
                    self._acknowledge(invocation, body, nodes)
                self.reply(Acknowledged(call.task_id, call.invocation, body))
                self._complete(invocation, answer)

    def _acknowledge(self, invocation: Invocation, body: AnswerBody, nodes: Sequence[Node]) -> None:
        is_unacknowledged = isinstance(body, WaitAnswer) and invocation.count > 1
        for node in nodes:
            needs_waiter = isinstance(body, SpawnAnswer)
            invocation.acknowledge(
                node,
                needs_waiter=needs_waiter,
                is_unacknowledged=is_unacknowledged,
                is_memo=isinstance(body, MemoAnswer),
            )
            if is_unacknowledged:
                loop = asyncio.get_running_loop()
                loop.call_later(CONFIRM_SECONDS, self._give_up_confirmation, invocation, node)

    def _give_up_confirmation(self, invocation: Invocation, node: Node) -> None:
        invocation.stop_awaiting_acknowledgement(node)
        self.send_current(invocation)

    async def open(self, invocation: Invocation, first: Sequence[Node]) -> None:
        """Learn what a delivery that is new to this stream was told before. The first call of all is clear."""
        if invocation.is_open:
            return
        if invocation.count == 1 and first and min(node.node_id for node in first) == 1:
            invocation.open((), 0)
            return
        opening = await self._service.openings.submit((self.tenant_id, invocation.task_id))
        if opening is not None:
            _open(invocation, opening)

    def _complete(self, invocation: Invocation | None, answer: Answer) -> None:
        if invocation is not None:
            for completion in answer.completions:
                if completion.invocation == invocation.count:  # else a memo of an earlier delivery
                    invocation.complete(completion)
            self._send(invocation)

    # What the worker waits for

    async def _follow_status(
        self, entries: Sequence[tuple[UUID, int, Node]], received: Mapping[tuple[UUID, int], int]
    ) -> None:
        try:
            named: dict[Invocation, list[Node]] = {}
            for task_id, count, node in entries:
                invocation = self.invocation_of(task_id, count)
                if invocation is None:
                    self._supersede(task_id, count)
                else:
                    named.setdefault(invocation, []).append(node)
            await self._open_listed(named, received)
            self._names_orders = self._names_orders or bool(received)
            now, asked = time.monotonic(), []
            for invocation, nodes in named.items():
                if self._invocations.get(invocation.task_id) is invocation:
                    invocation.confirm(received.get((invocation.task_id, invocation.count), 0))
                    if not self._names_orders:
                        invocation.note_list(nodes, now)
                    asked += [(invocation, node) for node in nodes if invocation.wait(node, now)]
                    self._send(invocation)
                    self._evictions.reconsider(invocation)
            await self._look_up(asked)
        except HatchetError as error:
            log.warning("a worker's status was not answered, it will say it again: %s", error)
        finally:
            self._lanes.leave()

    async def _open_listed(
        self,
        named: Mapping[Invocation, Sequence[Node]],
        received: Mapping[tuple[UUID, int], int],
    ) -> None:
        new = [invocation for invocation in named if not invocation.is_open]
        if not new:
            return
        pending = [
            self._service.openings.put((self.tenant_id, invocation.task_id)) for invocation in new
        ]
        for invocation, opening in zip(new, await asyncio.gather(*pending), strict=True):
            if opening is not None and opening.serves(invocation.count):
                known = received.get((invocation.task_id, invocation.count))
                _open(invocation, opening, known)
            else:
                self._supersede(invocation.task_id, invocation.count)
                await self._evictions.restore_missed(invocation, opening, named[invocation])

    async def _look_up(self, asked: Sequence[tuple[Invocation, Node]]) -> None:
        """Say that the worker waits for these nodes, and send what is complete."""
        for start in range(0, len(asked), LOOKED_UP_AT_ONCE):
            part = asked[start : start + LOOKED_UP_AT_ONCE]
            waiting = tuple(
                Waiting(self.tenant_id, invocation.task_id, invocation.count, node)
                for invocation, node in part
            )
            found = await self._service.lookups.submit(waiting, rows=len(waiting))
            for (invocation, _), outcome in zip(part, found, strict=True):
                if self._invocations.get(invocation.task_id) is not invocation:
                    continue
                if isinstance(outcome, Stale):
                    self._supersede(invocation.task_id, invocation.count)
                elif outcome is not None:
                    invocation.complete(outcome)
            for invocation in dict.fromkeys(invocation for invocation, _ in part):
                self._send(invocation)

    # What others changed

    def offer(self, completion: Completion) -> None:
        """An entry of one of the tasks is complete."""
        invocation = self._invocations.get(completion.task_id)
        if invocation is None or completion.signal is not None:
            return
        if completion.invocation > invocation.count:
            self._supersede(invocation.task_id, invocation.count)
        elif completion.invocation < invocation.count:
            # The task was delivered anew, perhaps on another branch, while this was written.
            self.look_again([invocation.task_id])
        elif completion.order is not None or completion.kind is DurableKind.MEMO:
            invocation.complete(completion)
            self._send(invocation)

    def look_again(self, task_ids: Iterable[UUID]) -> None:
        known = [self._invocations[task_id] for task_id in task_ids if task_id in self._invocations]
        asked = [(invocation, node) for invocation in known for node in invocation.wanted()]
        if asked:
            self._service.spawn(self._look_up(asked), "looking up durable waits")

    def drop(self, task_id: UUID) -> None:
        if self._invocations.pop(task_id, None) is not None:
            self._service.routes.remove(task_id, self)
        self._evictions.settle(task_id)

    async def audit(self) -> None:
        """Find deliveries that are over and completions nobody told us of."""
        known = [each for each in self._invocations.values() if each.is_open]
        for start in range(0, len(known), LOOKED_UP_AT_ONCE):
            part = known[start : start + LOOKED_UP_AT_ONCE]
            pending = [self._service.openings.put((self.tenant_id, each.task_id)) for each in part]
            for invocation, opening in zip(part, await asyncio.gather(*pending), strict=True):
                if self._invocations.get(invocation.task_id) is not invocation:
                    continue
                if opening is None or not opening.serves(invocation.count):
                    self._supersede(invocation.task_id, invocation.count)
        await self._look_up(
            [(each, node) for each in self._invocations.values() for node in each.wanted()]
        )

    async def look_up_held(self) -> None:
        """Look up what keeps completions back; give up what has kept them back for too long."""
        holding = [each for each in self._invocations.values() if each.is_holding]
        for invocation in holding:
            self._send(invocation)
        await self._look_up([(each, node) for each in holding for node in each.wanted()])

    # Parts

    def invocation_of(self, task_id: UUID, count: int) -> Invocation | None:
        """Return what is known of a delivery; None if the stream serves a later one of the task."""
        known = self._invocations.get(task_id)
        if known is not None and known.count >= count:
            return known if known.count == count else None
        invocation = self._invocations[task_id] = Invocation(task_id, count)
        if not self._is_closed:
            self._service.routes.add(task_id, self)
        return invocation

    def _forget_unopened(self, task_id: UUID) -> None:
        known = self._invocations.get(task_id)
        if known is not None and not known.is_open:
            self.drop(task_id)

    def _supersede(self, task_id: UUID, count: int) -> None:
        self.reply(Superseded(task_id, count, _SUPERSEDED))
        known = self._invocations.get(task_id)
        if known is not None and known.count == count:
            self.drop(task_id)

    def _send(self, invocation: Invocation) -> None:
        if not invocation.is_open:
            return
        now = time.monotonic()
        if invocation.give_up_order(now):
            text = "task %s: completions that came before are not asked for in delivery %d"
            log.warning(text, invocation.task_id, invocation.count)
        for completion in invocation.take(now):
            self.reply(Completed(completion))
        pause = invocation.pause(now)
        if pause is not None:
            asyncio.get_running_loop().call_later(pause, self.send_current, invocation)

    def send_current(self, invocation: Invocation) -> None:
        if self.serves(invocation):
            self._send(invocation)

    def serves(self, invocation: Invocation) -> bool:
        """Say whether this is the delivery of its task that the stream serves now."""
        return self._invocations.get(invocation.task_id) is invocation

    def reply(self, reply: Reply) -> None:
        if not self.unread.put(reply):
            self.unread.fail(Unavailable("the worker does not read its answers; connect again"))


def _open(invocation: Invocation, opening: Opening, received: int | None = None) -> None:
    invocation.open(
        opening.recorded,
        opening.reached,
        received,
        opening.reaches,
        opening.passed,
        restored=opening.restored,
        given=opening.given,
    )
