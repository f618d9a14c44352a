"""What becomes of a worker's request to drop a delivery that only waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from engine.domain.durable.calls import Node
from engine.domain.durable.delivery import Invocation
from engine.operations.durable.evict_tasks import Evicted, Eviction
from engine.operations.durable.read_logs import Opening
from engine.runtime.durable.lanes import Evict
from engine.runtime.durable.ports import EvictingStream, StreamService
from engine.runtime.durable.replies import EvictionTaken

ABANDONED_SECONDS = 30.0
"""After this time a worker does not wait any more for the answer; it asks again if it still waits."""

_LOOK_SECONDS = 1.0


@dataclass(slots=True)
class _PutOff:
    """A request that is not answered yet. `is_taken`: it is on its way to be looked at again."""

    request: Evict
    since: float
    is_taken: bool = False


class Evictions:
    """Evicts deliveries of one stream, each when its worker surely waits.

    A worker that is told of a completion after it gave its delivery up goes on with the program all the
    same, until the eviction is acknowledged. What it does till then the next delivery would do once more,
    perhaps at the same time. So an eviction that may have crossed with a completion is put off: until the
    worker waits again, or until the delivery ends, which answers it too.
    """

    def __init__(self, stream: EvictingStream, service: StreamService) -> None:
        self._stream, self._service = stream, service
        self._put_off: dict[UUID, _PutOff] = {}

    async def evict(self, request: Evict) -> None:
        """Evict a delivery and say so, now or later."""
        known = self._stream.invocation_of(request.task_id, request.invocation)
        was_open = known is not None and known.is_open
        if known is not None:
            await self._stream.open(known, ())
            if await self._is_put_off(request, known):
                return
        self._put_off.pop(request.task_id, None)
        nodes = () if known is None else tuple(known.give_up(time.monotonic()))
        try:
            outcome = await self._service.evictions.submit(
                Eviction(
                    self._stream.tenant_id,
                    request.task_id,
                    request.invocation,
                    request.reason,
                    nodes if was_open else None,
                )
            )
        except BaseException:
            if known is not None:
                known.keep()
                self._stream.send_current(known)
            raise
        if outcome is Evicted.UNKNOWN:
            self._stream.refuse(
                str(request.task_id), request.invocation, "there is no such durable task"
            )
        else:
            self._stream.reply(EvictionTaken(request.task_id, request.invocation))
        if known is not None and self._stream.serves(known):
            self._stream.drop(request.task_id)
        if known is not None and known.named_late:
            opening = await self._opening(request.task_id)
            await self.restore_missed(known, opening, known.named_late)

    async def restore_missed(
        self, invocation: Invocation, opening: Opening | None, nodes: Iterable[Node]
    ) -> None:
        """Restore a delivery that was evicted if its worker still waited for what is complete."""
        if opening is not None and opening.has_missed(invocation.count, nodes):
            await self._service.restore(self._stream.tenant_id, invocation.task_id)

    def reconsider(self, invocation: Invocation) -> None:
        """The worker said something about a delivery: it may wait now."""
        put_off = self._put_off.get(invocation.task_id)
        if put_off is not None and _waits_surely(invocation):
            self._take_again(put_off)

    def settle(self, task_id: UUID) -> None:
        """The stream serves a delivery no more: whoever wanted to drop it may."""
        if put_off := self._put_off.pop(task_id, None):
            self._stream.reply(EvictionTaken(task_id, put_off.request.invocation))

    async def _is_put_off(self, request: Evict, known: Invocation) -> bool:
        now = time.monotonic()
        put_off = self._put_off.get(request.task_id)
        if put_off is None or put_off.request is not request:
            if not known.may_go_on(now):
                return False
            put_off = self._put_off[request.task_id] = _PutOff(request, now)
        elif _waits_surely(known) or not await self._is_served(request):
            return False
        if now - put_off.since >= ABANDONED_SECONDS:
            del self._put_off[request.task_id]
        put_off.is_taken = False
        asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._take_again, put_off)
        return True

    def _take_again(self, put_off: _PutOff) -> None:
        if not put_off.is_taken and self._put_off.get(put_off.request.task_id) is put_off:
            put_off.is_taken = True
            self._service.spawn(self._stream.take(put_off.request), "evicting a durable task")

    async def _is_served(self, request: Evict) -> bool:
        opening = await self._opening(request.task_id)
        return opening is not None and opening.serves(request.invocation)

    async def _opening(self, task_id: UUID) -> Opening | None:
        return await self._service.openings.submit((self._stream.tenant_id, task_id))


def _waits_surely(invocation: Invocation) -> bool:
    return invocation.is_waiting and not invocation.may_go_on(time.monotonic())
