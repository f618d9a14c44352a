"""Items of batch tasks, and workers for them."""

from __future__ import annotations

from uuid import UUID

from engine.domain.assignment import (
    Claims,
    ReadyTask,
)
from engine.domain.batches import MAX_BATCH_BYTES, BatchGroup, BatchPlace
from engine.domain.scheduler.machine import Assignment, TenantScheduler
from engine.states import FlushReason

STEP = UUID(int=1)
WORKERS = (UUID(int=901), UUID(int=902))
GROUPS = (
    BatchGroup(STEP, "a", 3, 10.0, 2),
    BatchGroup(STEP, "b", 3, 10.0, 1),
    BatchGroup(UUID(int=2), "", 1, 5.0, 3),
    BatchGroup(UUID(int=3), "", 100, 7.0, 2),
)
BIG = MAX_BATCH_BYTES // 2 - 1
LATER = 1 << 127
"""An arrival in the far future: the item waits from when it is buffered."""


def item(
    number: int, group: BatchGroup, priority: int = 1, size: int = 10, arrival: int = LATER
) -> ReadyTask:
    claims = Claims((), priority, arrival, batch=BatchPlace(group, size))
    return ReadyTask(
        UUID(int=number), 0, "work", priority, {"default": 1}, STEP, STEP, None, claims
    )


def scheduler(slots: int = 10) -> TenantScheduler:
    made = TenantScheduler()
    connect(made, WORKERS[0], slots)
    return made


def connect(made: TenantScheduler, worker_id: UUID, slots: int, now: float = 0.0) -> None:
    made.workers.upsert(
        worker_id,
        actions=frozenset({"work"}),
        slots={"default": slots},
        is_active=True,
        is_paused=False,
        last_heartbeat=now,
    )


def flushed(assignments: list[Assignment]) -> list[tuple[FlushReason, list[int]]]:
    return [
        (made.batch.reason, [task.id.int for task in made.batch.items])
        for made in assignments
        if made.batch is not None
    ]
