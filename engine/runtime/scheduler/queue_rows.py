"""The rows of the first who wait for an action."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

from engine.domain.assignment import ReadyTask
from engine.operations.rebuild_scheduler import load_queue_head, load_queued
from engine.runtime.loops.isolation import isolate
from engine.runtime.loops.outages import is_outage
from engine.store import queues
from engine.store.async_db import AsyncDatabase

log = logging.getLogger("hatchet.scheduler")


async def read_head(
    database: AsyncDatabase, tenant_id: UUID, action_id: str, limit: int
) -> tuple[list[ReadyTask], bool]:
    """Return the first attempts that wait for an action, and whether there may be more.

    Those that cannot be read are passed over.
    """
    try:
        ready = await database.run(load_queue_head(tenant_id, action_id, limit))
    except Exception as error:
        if is_outage(error):
            raise
        return await _read_apart(database, tenant_id, action_id, limit)
    return ready, len(ready) == limit


async def _read_apart(
    database: AsyncDatabase, tenant_id: UUID, action_id: str, limit: int
) -> tuple[list[ReadyTask], bool]:
    found: dict[UUID, ReadyTask] = {}

    async def read(task_ids: Sequence[UUID]) -> None:
        for task in await database.run(load_queued(tenant_id, task_ids)):
            found[task.id] = task

    async def pass_over(task_id: UUID, error: Exception) -> None:
        log.error("task %s waits and cannot be read", task_id, exc_info=error)

    rows = await database.fetch(queues.queue_head(tenant_id, action_id, limit))
    ids = [row.id for row in rows]
    await isolate("queued tasks", ids, read, pass_over)
    return [found[task_id] for task_id in ids if task_id in found], bool(found) and len(
        ids
    ) == limit
