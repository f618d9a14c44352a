"""Listeners of the older API, whose waits have keys instead of places in a log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from uuid import UUID

from engine.domain.durable.calls import Completion
from engine.runtime.durable.ports import SignalService
from engine.runtime.outbox import Outbox

_LOOKED_UP_AT_ONCE = 100


class SignalListener:
    """One stream that waits for any number of (task, signal key), each answered once per request."""

    def __init__(self, tenant_id: UUID, service: SignalService) -> None:
        self.tenant_id = tenant_id
        self._service, self._routes = service, service.routes
        self._keys: dict[UUID, set[str]] = {}
        self.unread: Outbox[Completion] = Outbox(
            lambda completion: len(completion.payload), on_room=self._look_again_at_all
        )

    def __aiter__(self) -> AsyncIterator[Completion]:
        return aiter(self.unread)

    def add(self, task_id: UUID, signal_key: str) -> None:
        self._routes.add(task_id, self)
        self._keys.setdefault(task_id, set()).add(signal_key)
        self.look_again([task_id])

    def end(self) -> None:
        """Let the iteration end."""
        self.unread.end()

    async def drain(self, seconds: float) -> None:
        """Nothing here waits for an answer."""
        self.end()

    def close(self) -> None:
        for task_id in self._keys:
            self._routes.remove(task_id, self)
        self._keys.clear()
        self._service.closed(self)

    def offer(self, completion: Completion) -> None:
        keys = self._keys.get(completion.task_id, set())
        if completion.signal is None or completion.signal not in keys:
            return
        if not self.unread.put(completion):
            return  # it is in the rows, and looked up when there is room
        keys.discard(completion.signal)
        if not keys:
            del self._keys[completion.task_id]
            self._routes.remove(completion.task_id, self)

    def look_again(self, task_ids: Iterable[UUID]) -> None:
        pairs = [(task_id, key) for task_id in task_ids for key in self._keys.get(task_id, ())]
        if pairs:
            self._service.spawn(self._look_up(pairs), "looking up durable events")

    def _look_again_at_all(self) -> None:
        self.look_again(tuple(self._keys))

    def drop(self, task_id: UUID) -> None:
        """An attempt ended; its waits go on, for the next one."""

    async def audit(self) -> None:
        await self._look_up(
            [(task_id, key) for task_id, keys in self._keys.items() for key in keys]
        )

    async def look_up_held(self) -> None:
        """Nothing is held back here."""

    async def _look_up(self, pairs: list[tuple[UUID, str]]) -> None:
        for start in range(0, len(pairs), _LOOKED_UP_AT_ONCE):
            if not self.unread.has_room():
                return
            part = pairs[start : start + _LOOKED_UP_AT_ONCE]
            for completion in await self._service.load_signals(self.tenant_id, part):
                self.offer(completion)
