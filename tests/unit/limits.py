"""Tasks that take units of rate limits, and a scheduler that knows the limits."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from engine.domain.assignment import ReadyTask
from engine.domain.rate_limits import LimitClaim, LimitState
from engine.domain.scheduler.machine import TenantScheduler
from engine.states import RateLimitWindow

SECOND, MINUTE = RateLimitWindow.SECOND, RateLimitWindow.MINUTE
VERSION, STEP, WORKER = UUID(int=1), UUID(int=2), UUID(int=100)
ONE = {"default": 1}


def task(
    number: int, *limits: LimitClaim, action_id: str = "a", priority: int = 1, retry_count: int = 0
) -> ReadyTask:
    return ReadyTask(
        UUID(int=number), retry_count, action_id, priority, ONE, VERSION, STEP, limits=limits
    )


def one(key: str = "k", units: int = 1) -> LimitClaim:
    return LimitClaim(key, units)


def brought(limit: int, key: str = "k", units: int = 1) -> LimitClaim:
    return LimitClaim(key, units, limit, SECOND)


def state(limit: int, value: int | None = None, **options: Any) -> LimitState:
    return LimitState(limit, SECOND, limit if value is None else value, 0.0, **options)


def scheduler(slots: int = 100, **limits: LimitState) -> TenantScheduler:
    made = TenantScheduler()
    made.workers.upsert(
        WORKER,
        actions=frozenset("ab"),
        slots={"default": slots},
        is_active=True,
        is_paused=False,
        last_heartbeat=0.0,
    )
    for key, found in limits.items():
        made.limits.set(key, found)
    return made


def drained(made: TenantScheduler, now: float = 0.0) -> list[int]:
    made.workers.record_heartbeat(WORKER, now)
    return [assignment.task.id.int for assignment in made.drain(now)]
