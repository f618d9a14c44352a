"""Streams of run events: chunks in, followers out, also between engines."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

from engine.errors import NotFound, Unavailable
from engine.ids import id_at
from engine.operations.read_runs import load_run_details
from engine.runtime.effects import Effects
from engine.runtime.following.followers import Followers, RunFollower
from engine.runtime.hints.notifier import Notifier
from engine.runtime.loops.isolation import each_alone
from engine.runtime.loops.outages import note_unreachable
from engine.store import runs, tasks
from engine.store.async_db import AsyncDatabase
from engine.store.hint_kinds import Chunk
from engine.store.hints import Hint
from engine.types import RunDetails, StreamEvent

_LOOKUPS, _LOOKUP_SECONDS = 10, 1.0
_RESCAN_SECONDS = 0.25
_METADATA_WINDOW, _METADATA_MARGIN = timedelta(days=1), timedelta(seconds=5)
_REMEMBERED_TASKS = 10_000
_MOST_PIECES = 30_000


class Streaming:
    """Lets clients follow runs, and passes on what tasks stream."""

    def __init__(
        self,
        database: AsyncDatabase,
        streams: Followers,
        notifier: Notifier,
        effects: Effects,
    ) -> None:
        self._database, self._streams = database, streams
        self._notifier, self._effects = notifier, effects
        self._pieces: OrderedDict[tuple[UUID, int, int | None], list[str]] = OrderedDict()
        self._pieces_count = 0
        self._attempt_of: OrderedDict[tuple[UUID, UUID], asyncio.Task[tuple[UUID, int] | None]] = (
            OrderedDict()
        )

    async def put(self, tenant_id: UUID, task_id: UUID, text: str, index: int | None) -> None:
        """Pass on a chunk a task streams. NotFound: unknown task."""
        key = (tenant_id, task_id)
        looked_up = self._attempt_of.get(key)
        if looked_up is None or index == 0:
            looked_up = self._attempt_of[key] = asyncio.create_task(
                self._look_up_attempt(tenant_id, task_id), name="attempt of a chunk"
            )
            if len(self._attempt_of) > _REMEMBERED_TASKS:
                self._attempt_of.popitem(last=False)
        with self._streams.arriving():
            attempt = await asyncio.shield(looked_up)
        if attempt is None:
            self._attempt_of.pop(key, None)
            raise NotFound("task not found")
        run_id, retry_count = attempt
        chunk = Chunk(run_id, task_id, retry_count, index, text)
        self.receive(chunk)
        if self._notifier.has_peers:
            self._notifier.hint(Hint(tenant_id, chunks=chunk.pieces()))

    async def _look_up_attempt(self, tenant_id: UUID, task_id: UUID) -> tuple[UUID, int] | None:
        """Return the run and the retry count; those who send the next chunks meanwhile wait for it too."""
        try:
            rows = await self._database.fetch(tasks.by_ids(tenant_id, [task_id]))
        except BaseException:
            self._attempt_of.pop((tenant_id, task_id), None)
            raise
        return (rows[0].run_id, rows[0].retry_count) if rows else None

    def receive(self, chunk: Chunk) -> None:
        self._streams.put_chunk(
            chunk.run_id, chunk.task_id, chunk.retry_count, index=chunk.position, chunk=chunk.text
        )

    def receive_piece(self, chunk: Chunk) -> None:
        """Take a piece from another engine; a chunk goes on when its last piece is here."""
        key = (chunk.task_id, chunk.retry_count, chunk.position)
        pieces = self._pieces.setdefault(key, [])
        pieces.append(chunk.text)
        self._pieces_count += 1
        if chunk.is_whole:
            self._forget_pieces(key)
            self.receive(chunk._replace(text="".join(pieces)))
        elif not self._streams.is_followed(chunk.run_id):
            self._forget_pieces(key)
        while self._pieces_count > _MOST_PIECES:  # the last piece of the oldest chunk was lost
            self._forget_pieces(next(iter(self._pieces)))

    def _forget_pieces(self, key: tuple[UUID, int, int | None]) -> None:
        self._pieces_count -= len(self._pieces.pop(key, ()))

    async def follow_run(self, tenant_id: UUID, run_id: UUID) -> AsyncIterator[StreamEvent]:
        """Follow one run; ends at once if it has finished. NotFound after ten look-ups."""
        follower = RunFollower(tenant_id, ends_with_run=True)
        self._streams.follow(follower, run_id)
        try:
            details = await self._look_up(tenant_id, run_id)
        except BaseException:
            self._streams.leave(follower)
            raise
        if details.is_done:
            follower.end()
        return self._events(follower, None)

    async def _look_up(self, tenant_id: UUID, run_id: UUID) -> RunDetails:
        for attempt in range(_LOOKUPS):
            details = await self._database.run(load_run_details(tenant_id, run_id))
            if details is not None:
                return details
            if attempt + 1 < _LOOKUPS:
                await asyncio.sleep(_LOOKUP_SECONDS)
        raise NotFound("workflow run not found")

    async def follow_metadata(
        self, tenant_id: UUID, key: str, value: str
    ) -> AsyncIterator[StreamEvent]:
        """Follow every run with this metadata pair; ends when none of those seen is active."""
        follower = RunFollower(tenant_id, ends_with_run=False)
        scan = asyncio.create_task(
            self._scan(follower, tenant_id, key, value), name="metadata scan"
        )
        return self._events(follower, scan)

    async def _scan(self, follower: RunFollower, tenant_id: UUID, key: str, value: str) -> None:
        begun = new_since = datetime.now(UTC)
        since, seen = begun - _METADATA_WINDOW, set[UUID]()
        while True:
            try:
                looked_at = datetime.now(UTC)
                query = runs.by_metadata(tenant_id, key, value, since=since, new_since=new_since)
                for run_id, is_live in await self._database.fetch(query):
                    if run_id in follower.active or (run_id in seen and not is_live):
                        continue
                    self._streams.follow(follower, run_id)
                    if not is_live:
                        await self.settle(tenant_id, [run_id])
                    seen.add(run_id)
                new_since = max(begun, looked_at - _METADATA_MARGIN)
                seen = {run_id for run_id in seen if run_id >= id_at(new_since)}
            except Unavailable as error:
                note_unreachable("looking for runs to follow", error)
            await asyncio.sleep(_RESCAN_SECONDS)

    async def _events(
        self, follower: RunFollower, scan: asyncio.Task[None] | None
    ) -> AsyncIterator[StreamEvent]:
        try:
            async for event in follower.events():
                yield event
        finally:
            self._streams.leave(follower)
            if scan:
                scan.cancel()

    async def settle_all(self) -> None:
        """Tell followers of runs that ended without a word reaching this engine."""
        for tenant_id, run_ids in self._streams.followed().items():
            await self.settle(tenant_id, run_ids)

    async def settle(self, tenant_id: UUID, run_ids: list[UUID]) -> None:
        """Another engine says these runs ended: their followers here are told."""

        async def tell(run_id: UUID) -> None:
            details = await self._database.run(load_run_details(tenant_id, run_id))
            if details and details.is_done:
                self._streams.apply_details(details)

        followed = [run_id for run_id in run_ids if self._streams.is_followed(run_id)]
        await each_alone("telling the followers of a run", followed, tell)
