"""Stores what clients push, in batches: the runs that events start are committed with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from engine.errors import AlreadyWritten, LimitReached, TargetsChanged
from engine.ids import new_id
from engine.operations.parts.event_targets import KnownTargets
from engine.operations.push_events import PushedEvents, push_calls, records_of
from engine.runtime.loops.batcher import Batcher
from engine.runtime.writers.fullness import Fullness
from engine.runtime.writers.large_payloads import keep_large
from engine.states import PayloadKind
from engine.store import sealing
from engine.store.async_db import AsyncDatabase
from engine.store.sealed_columns import Payload
from engine.types import EventInput, EventRecord


class Events:
    """Each call's events are stored together or not at all.

    They get their ids before, so that a batch which is written again after a broken connection is
    known to be the same.
    """

    def __init__(self, database: AsyncDatabase, *, on_outage: Callable[[], None]) -> None:
        self._database, self._on_outage = database, on_outage
        self._known = KnownTargets()
        self._full = Fullness()
        self.batcher: Batcher[PushedEvents, None] = Batcher(
            "events", self._flush, on_outage=on_outage, tenant_of=lambda call: call.tenant_id
        )

    async def push(self, tenant_id: UUID, inputs: Sequence[EventInput]) -> list[EventRecord]:
        """Return the events as they were stored, once they are committed with what they started."""
        records = records_of(inputs, [new_id() for _ in inputs], datetime.now(UTC))
        if (sealer := sealing.sealer()) is not None:
            kind = PayloadKind.EVENT
            pushed = [Payload(tenant_id, r.payload, r.event_id, kind) for r in records]
            await keep_large(sealer, pushed)
        size = sum(len(event.payload) for event in inputs)
        call = PushedEvents(tenant_id, inputs, records)
        await self.batcher.submit(call, rows=len(inputs), size=size)
        return records

    async def _flush(self, calls: Sequence[PushedEvents]) -> list[Exception | None]:
        refused = [self._full.of(call.tenant_id) for call in calls]
        if any(refused):
            left = [call for call, error in zip(calls, refused, strict=True) if error is None]
            if left:
                await self._write(left)
            return list(refused)
        await self._write(calls)
        return [None] * len(calls)

    async def _write(self, calls: Sequence[PushedEvents]) -> None:
        try:
            await self._push(calls)
        except LimitReached as error:
            self._full.note(error)
            raise
        except AlreadyWritten:
            # Memory may have been read before.
            self._on_outage()

    async def _push(self, calls: Sequence[PushedEvents]) -> None:
        try:
            await self._database.run(push_calls(calls, datetime.now(UTC), self._known))
        except TargetsChanged:
            self._known.forget({call.tenant_id for call in calls})
            await self._database.run(push_calls(calls, datetime.now(UTC), self._known))
