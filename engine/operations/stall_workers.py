"""Marks workers that do not acknowledge what they are sent, and those that do again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from engine.store import workers
from engine.store.query import Operation, fetch_all
from engine.store.workers import WorkerRow


def stall_workers(
    tenant_id: UUID, sinces: Mapping[UUID, datetime], now: datetime
) -> Operation[list[WorkerRow]]:
    """Give these workers nothing new: each was sent, then, what it has not acknowledged. Return their rows.

    One that opened a stream since then is left alone.
    """
    _, rows = yield from fetch_all(
        workers.stall(tenant_id, sinces, now), workers.by_ids(tenant_id, sorted(sinces))
    )
    return rows


def recover_workers(
    tenant_id: UUID,
    worker_ids: Sequence[UUID],
    now: datetime,
    *,
    heard: Sequence[UUID],
    task_ids: Sequence[UUID],
) -> Operation[list[WorkerRow]]:
    """Trust those of these workers again that acknowledge what they are sent; return the rows of all.

    `heard` are those known to do so, `task_ids` tasks whose attempts they had not acknowledged.
    """
    _, rows = yield from fetch_all(
        workers.recover(tenant_id, worker_ids, now, heard=heard, task_ids=task_ids),
        workers.by_ids(tenant_id, worker_ids),
    )
    return rows
