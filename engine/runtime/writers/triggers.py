"""The fast path: from a trigger call to a run that is committed already assigned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from engine.errors import AlreadyWritten, IdempotencyCollision, LimitReached
from engine.operations.parts.adopt_children import adopt_children
from engine.operations.parts.plan_runs import PlannedRun, plan_new_run
from engine.operations.trigger_runs import collision_of, insert_new_runs, refuse_problems
from engine.runtime.catalog import Catalog
from engine.runtime.loops.batcher import Batcher
from engine.runtime.writers.fullness import Fullness
from engine.runtime.writers.large_payloads import keep_large
from engine.sandbox.pool import settled_async
from engine.states import PayloadKind
from engine.store import sealing
from engine.store.async_db import AsyncDatabase
from engine.store.sealed_columns import Payload
from engine.types import TriggerRequest


class _Call(NamedTuple):
    """One caller's runs, planned."""

    tenant_id: UUID
    planned: list[PlannedRun]


class Triggers:
    """Starts runs in batches."""

    def __init__(
        self, database: AsyncDatabase, catalog: Catalog, *, on_outage: Callable[[], None]
    ) -> None:
        self._database, self._catalog = database, catalog
        self._on_outage, self._full = on_outage, Fullness()
        self.batcher: Batcher[_Call, list[UUID]] = Batcher(
            "triggers", self._flush, on_outage=on_outage, tenant_of=lambda call: call.tenant_id
        )

    async def trigger(self, tenant_id: UUID, requests: Sequence[TriggerRequest]) -> list[UUID]:
        """Start runs and return their ids in request order once they are committed."""
        found = await self._catalog.resolve(tenant_id, [r.workflow_name for r in requests])
        if any(request.parent_task_id for request in requests):
            requests = await self._database.run(adopt_children(tenant_id, requests))
        planned = await settled_async(
            tenant_id,
            lambda: [plan_new_run(request, found[request.workflow_name]) for request in requests],
        )
        refuse_problems(planned)
        if (sealer := sealing.sealer()) is not None:
            runs = [item.run for item in planned]
            inputs = [Payload(tenant_id, run.input, run.id, PayloadKind.INPUT) for run in runs]
            await keep_large(sealer, inputs)
        size = sum(len(request.input) for request in requests)
        return await self.batcher.submit(_Call(tenant_id, planned), rows=len(planned), size=size)

    async def _flush(self, calls: Sequence[_Call]) -> list[list[UUID] | Exception]:
        refused = [self._refusal_of(call) for call in calls]
        if any(refused):
            left = [call for call, error in zip(calls, refused, strict=True) if error is None]
            answers = iter(await self._write(left) if left else [])
            return [error or next(answers) for error in refused]
        return await self._write(calls)

    def _refusal_of(self, call: _Call) -> LimitReached | None:
        """Return why it is refused; one that may name runs which are there already is looked at."""
        error = self._full.of(call.tenant_id)
        is_new = error is not None and all(
            item.run.child_key is None and item.run.child_index is None for item in call.planned
        )
        return error if is_new else None

    async def _write(self, calls: Sequence[_Call]) -> list[list[UUID] | Exception]:
        planned = [item for call in calls for item in call.planned]
        try:
            inserted = await self._database.run(
                insert_new_runs(planned, datetime.now(UTC), is_last=True)
            )
        except LimitReached as error:
            self._full.note(error)
            raise
        except AlreadyWritten:
            # Memory may have been read before.
            self._on_outage()
            return [[item.run.id for item in call.planned] for call in calls]
        ids = iter(inserted.ids)
        return [
            _answer(call, [next(ids) for _ in call.planned], inserted.collisions) for call in calls
        ]


def _answer(
    call: _Call, ids: list[UUID], collisions: Mapping[UUID, UUID]
) -> list[UUID] | IdempotencyCollision:
    """Return the ids, or what collided beside the ids of those that did not."""
    collided = [item for item in call.planned if item.run.id in collisions]
    if not collided:
        return ids
    holders = {item.run.id for item in collided}
    started = [
        run_id for item, run_id in zip(call.planned, ids, strict=True) if item.run.id not in holders
    ]
    return collision_of(collided, collisions, started)
