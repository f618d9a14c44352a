"""Clients that follow the events of runs: task starts and ends, streamed chunks, the end of the run."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from sys import getsizeof
from uuid import UUID

from engine.domain.chunk_order import HOLD_SECONDS, ChunkOrder
from engine.errors import ResourceExhausted
from engine.runtime.outbox import Outbox
from engine.states import Status
from engine.store.changes import Changes
from engine.types import RunDetails, StreamEvent, StreamEventKind

_FIRST_CHUNK_SECONDS, _LATE_CHUNK_SECONDS = 0.25, 2.0
_TOO_SLOW = "the events of the run come faster than this client reads them; what comes now is lost"
_ENDS = {
    Status.COMPLETED: StreamEventKind.COMPLETED,
    Status.FAILED: StreamEventKind.FAILED,
    Status.CANCELLED: StreamEventKind.CANCELLED,
}


class RunFollower:
    """One stream of events, of one run or of every run with some metadata pair."""

    def __init__(self, tenant_id: UUID, *, ends_with_run: bool) -> None:
        self.tenant_id = tenant_id
        self.ends_with_run = ends_with_run
        self.active: set[UUID] = set()
        self.unread: Outbox[StreamEvent] = Outbox(lambda event: getsizeof(event.payload))

    def put(self, event: StreamEvent) -> None:
        """Nothing is kept of what is streamed: whoever falls far behind is told so, with a gap nobody is."""
        if not self.unread.put(event):
            self.unread.fail(ResourceExhausted(_TOO_SLOW))

    def end(self) -> None:
        self.unread.end()

    async def events(self) -> AsyncIterator[StreamEvent]:
        async for event in self.unread:
            yield event
            if event.hangup:
                return


class Followers:
    """Followers by run. Chunks of an attempt keep their order; all of them come before the hangup."""

    def __init__(self) -> None:
        self._followers: dict[UUID, set[RunFollower]] = defaultdict(set)
        self._ended_tasks: dict[UUID, set[UUID]] = defaultdict(set)
        self._orders: dict[UUID, dict[tuple[UUID, int], ChunkOrder]] = defaultdict(dict)
        self._arriving = 0

    def follow(self, follower: RunFollower, run_id: UUID) -> None:
        self._followers[run_id].add(follower)
        follower.active.add(run_id)

    def leave(self, follower: RunFollower) -> None:
        for run_id in list(follower.active):
            followers = self._followers.get(run_id, set())
            followers.discard(follower)
            if not followers:
                self._followers.pop(run_id, None)
                self._orders.pop(run_id, None)
                self._ended_tasks.pop(run_id, None)

    def followed(self) -> dict[UUID, list[UUID]]:
        """Return every followed run by tenant."""
        runs_of: dict[UUID, list[UUID]] = defaultdict(list)
        for run_id, followers in self._followers.items():
            for tenant_id in {follower.tenant_id for follower in followers}:
                runs_of[tenant_id].append(run_id)
        return runs_of

    def is_followed(self, run_id: UUID) -> bool:
        return run_id in self._followers

    def apply(self, changes: Changes) -> None:
        """Tell followers what an operation changed."""
        if not self._followers:
            return
        for run_id, task_id in changes.created:
            if run_id in self._followers:
                kind = StreamEventKind.STARTED
                self._send(StreamEvent(run_id, task_id, False, kind, datetime.now(UTC)))
        for end in changes.ended:
            if end.run_id in self._followers:
                text = end.payload.decode(errors="replace")
                self._end_task(end.run_id, end.task_id, end.status, text, end.retry_count)
        for run in changes.finished:
            if run.run_id in self._followers:
                self.finish(run.run_id, run.status)

    def apply_details(self, details: RunDetails) -> None:
        """Tell followers of a run that ended at another engine what they have not been told."""
        known = self._ended_tasks.get(details.run_id, set())
        for task in details.tasks:
            if task.task_id not in known and task.status.is_final:
                payload = task.error if task.status is Status.FAILED else None
                text = payload or (task.output or b"").decode(errors="replace")
                self._end_task(details.run_id, task.task_id, task.status, text, None)
        self.finish(details.run_id, details.status)

    def _end_task(
        self, run_id: UUID, task_id: UUID, status: Status, text: str, retry_count: int | None
    ) -> None:
        self._ended_tasks[run_id].add(task_id)
        kind, at = _ENDS[status], datetime.now(UTC)
        self._send(StreamEvent(run_id, task_id, False, kind, at, text, retry_count=retry_count))

    def put_chunk(
        self, run_id: UUID, task_id: UUID, retry_count: int, *, index: int | None, chunk: str
    ) -> None:
        """Pass on a chunk in its turn; nobody follows, nobody gets it."""
        if run_id not in self._followers:
            return
        loop = asyncio.get_running_loop()
        order = self._orders[run_id].setdefault((task_id, retry_count), ChunkOrder())
        chunks = order.add(index, chunk, loop.time())
        self._send_chunks(run_id, task_id, retry_count, chunks)
        if order.is_waiting:
            loop.call_later(HOLD_SECONDS, self._expire, run_id)

    @contextmanager
    def arriving(self) -> Iterator[None]:
        """A chunk is on its way whose run is not known yet: no follower is sent away meanwhile."""
        self._arriving += 1
        try:
            yield
        finally:
            self._arriving -= 1

    def finish(self, run_id: UUID, status: Status) -> None:
        """Say that the run ended, once late chunks had their time; then its followers are done.

        A worker that does not wait for the answers to its chunks may report its end before the first.
        """
        loop = asyncio.get_running_loop()
        if run_id in self._orders:
            loop.call_later(_LATE_CHUNK_SECONDS, self._hang_up, run_id, status)
        else:
            loop.call_later(_FIRST_CHUNK_SECONDS, self._hang_up_unless_streamed, run_id, status)

    def _hang_up_unless_streamed(self, run_id: UUID, status: Status) -> None:
        if self._arriving or run_id in self._orders:
            rest = _LATE_CHUNK_SECONDS - _FIRST_CHUNK_SECONDS
            asyncio.get_running_loop().call_later(rest, self._hang_up, run_id, status)
        else:
            self._hang_up(run_id, status)

    def _hang_up(self, run_id: UUID, status: Status) -> None:
        for task_id, retry_count in list(self._orders.get(run_id, ())):
            self._flush(run_id, task_id, retry_count)
        self._orders.pop(run_id, None)
        self._ended_tasks.pop(run_id, None)
        at = datetime.now(UTC)
        for follower in self._followers.pop(run_id, ()):
            follower.active.discard(run_id)
            is_last = follower.ends_with_run or not follower.active
            follower.put(StreamEvent(run_id, run_id, True, _ENDS[status], at, hangup=is_last))

    def _expire(self, run_id: UUID) -> None:
        now = asyncio.get_running_loop().time()
        for (task_id, retry_count), order in self._orders.get(run_id, {}).items():
            self._send_chunks(run_id, task_id, retry_count, order.expire(now))

    def _flush(self, run_id: UUID, task_id: UUID, retry_count: int) -> None:
        order = self._orders.get(run_id, {}).get((task_id, retry_count))
        if order:
            self._send_chunks(run_id, task_id, retry_count, order.flush())

    def _send_chunks(
        self,
        run_id: UUID,
        task_id: UUID,
        retry_count: int,
        chunks: Sequence[tuple[int | None, str]],
    ) -> None:
        for index, chunk in chunks:
            self._send(
                StreamEvent(
                    run_id,
                    task_id,
                    False,
                    StreamEventKind.STREAM,
                    datetime.now(UTC),
                    chunk,
                    retry_count=retry_count,
                    event_index=index,
                )
            )

    def _send(self, event: StreamEvent) -> None:
        for follower in self._followers.get(event.run_id, ()):
            follower.put(event)
