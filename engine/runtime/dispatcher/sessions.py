"""Open action streams of workers, and what goes over them."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from engine.domain.payload import MARK
from engine.errors import Unavailable
from engine.ids import new_id
from engine.runtime.outbox import Outbox
from engine.types import Action, ActionKind

log = logging.getLogger("hatchet.dispatcher")

_REMEMBERED_STARTS = 10_000
_MOST_UNSENT = 20_000
_FRAME_BYTES = 500


class ActionSession:
    """One open action stream. Iterating it ends when the session is closed."""

    def __init__(
        self,
        tenant_id: UUID,
        worker_id: UUID,
        opened_at: datetime,
        on_close: Callable[[ActionSession], Awaitable[None]],
        on_sent: Callable[[Action, UUID, UUID, datetime], None],
        on_room: Callable[[ActionSession, Mapping[UUID, Sequence[UUID]]], None],
        on_incomplete: Callable[[ActionSession, Action], None],
    ) -> None:
        self.tenant_id, self.worker_id, self.opened_at = tenant_id, worker_id, opened_at
        self._on_close, self._on_sent = on_close, on_sent
        self._taken: tuple[UUID, datetime] | None = None
        self._on_room = on_room
        self.unread: Outbox[Action] = Outbox(_size_of, on_room=self._read_postponed)
        self._postponed: dict[UUID, Sequence[UUID]] = {}
        self._on_incomplete = on_incomplete
        self._incomplete: set[tuple[UUID, int]] = set()
        self._sent: OrderedDict[tuple[UUID, int, int | None], None] = OrderedDict()
        self.is_closed = False

    def send(self, action: Action) -> None:
        """Queue an action; a START this stream has carried before is left out.

        A START there is no room for is read from its row when there is. One whose payloads are not all read
        yet is queued when they are.
        """
        if action.kind is ActionKind.CANCEL:
            self._incomplete.discard((action.task_id, action.retry_count))
            self.unread.put(action, is_urgent=True)
            if len(self.unread) > _MOST_UNSENT:
                self.unread.fail(Unavailable("the worker does not read its actions; connect again"))
            return
        key = (action.task_id, action.retry_count, action.durable_invocation)
        if key in self._sent or key[:2] in self._incomplete:
            return
        if MARK in action.payload:
            self._incomplete.add(key[:2])
            self._on_incomplete(self, action)
        else:
            self._put(action)

    def send_completed(self, action: Action) -> None:
        """Queue a START whose payloads are read now, unless it was cancelled meanwhile.

        One that cannot be read says so in its payload.
        """
        key = (action.task_id, action.retry_count)
        if key in self._incomplete:
            self._incomplete.discard(key)
            self._put(action)

    def _put(self, action: Action) -> None:
        if not self.unread.put(action):
            self._postponed[action.task_id] = [item.task_id for item in action.items]
            return
        self._sent[(action.task_id, action.retry_count, action.durable_invocation)] = None
        if len(self._sent) > _REMEMBERED_STARTS:
            self._sent.popitem(last=False)

    def _read_postponed(self) -> None:
        postponed, self._postponed = self._postponed, {}
        if postponed:
            self._on_room(self, postponed)

    def postpone(self, actions: Mapping[UUID, Sequence[UUID]]) -> bool:
        """Leave these actions, with their tasks, for later if there is no room for any."""
        if self.unread.has_room():
            return False
        self._postponed |= actions
        return True

    async def __aiter__(self) -> AsyncIterator[Action]:
        async for action in self.unread:
            self._taken = (new_id(), datetime.now(UTC))
            yield action

    def mark_sent(self, action: Action) -> None:
        """The action taken last went over the wire; of a START the event log is told."""
        if action.kind is not ActionKind.CANCEL and self._taken:
            self._on_sent(action, self.worker_id, *self._taken)
            self._taken = None

    async def close(self) -> None:
        """The stream is over, whoever ended it."""
        if not self.is_closed:
            self.is_closed = True
            await self._on_close(self)


def _size_of(action: Action) -> int:
    return _FRAME_BYTES + len(action.payload) + len(action.additional_metadata or b"")


class Sessions:
    """The open streams of this engine, by worker, newest last."""

    def __init__(self) -> None:
        self._by_worker: dict[UUID, list[ActionSession]] = {}

    def add(self, session: ActionSession) -> None:
        self._by_worker.setdefault(session.worker_id, []).append(session)

    def remove(self, session: ActionSession) -> bool:
        """Return whether that was the worker's last stream here."""
        sessions = self._by_worker.get(session.worker_id, [])
        if session in sessions:
            sessions.remove(session)
        if not sessions:
            self._by_worker.pop(session.worker_id, None)
        return not sessions

    def send(self, worker_id: UUID, action: Action) -> bool:
        """START goes to the newest stream, CANCEL to all; False if the worker has none here."""
        sessions = self._by_worker.get(worker_id)
        if not sessions:
            return False
        for session in sessions if action.kind is ActionKind.CANCEL else sessions[-1:]:
            session.send(action)
        return True

    def newest(self, worker_ids: Iterable[UUID]) -> dict[UUID, ActionSession]:
        """Return the newest stream of those of these workers that have one here."""
        return {
            worker_id: sessions[-1]
            for worker_id in worker_ids
            if (sessions := self._by_worker.get(worker_id))
        }

    def is_newest(self, session: ActionSession) -> bool:
        return session in self._by_worker.get(session.worker_id, [])[-1:]

    def workers(self, tenant_id: UUID | None = None) -> list[UUID]:
        """Return the workers with a stream here, of all tenants or of one."""
        return [
            worker_id
            for worker_id, sessions in self._by_worker.items()
            if tenant_id is None or sessions[0].tenant_id == tenant_id
        ]

    def holds(self, worker_ids: Iterable[UUID]) -> list[UUID]:
        """Return which of these workers have a stream here."""
        return [worker_id for worker_id in worker_ids if worker_id in self._by_worker]
