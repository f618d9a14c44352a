"""Why a task waits in its queue, by the queue, the workers for its action, and its rate limits."""

from __future__ import annotations

from collections.abc import Iterable

from engine.domain.assignment import (
    Obstacle,
    ReadyTask,
    Reason,
    WorkerState,
    explain_worker,
    needs_of,
    score_of,
)
from engine.domain.scheduler.limits import RateLimits
from engine.domain.scheduler.queue import ActionQueue


def reason_of_queue(
    task: ReadyTask,
    now: float,
    *,
    queue: ActionQueue | None,
    is_known: bool,
    workers: Iterable[WorkerState],
    limits: RateLimits,
) -> Reason | None:
    """Return why a task that nothing else keeps is not assigned; None if it would be in the next drain.

    `is_known` says that it is in the queue's memory, `workers` are all that know its action.
    """
    needs, score = needs_of(task), score_of(task)
    ahead = queue.count_known(score + 1, needs) if queue else 0
    is_more_ahead = queue is not None and (
        score < queue.floor or (queue.is_unread and not is_known)
    )
    nearest = _nearest(task, now, workers)
    claims = () if task.is_batched else task.due_limits
    if nearest is None and claims and (refusal := limits.refusal(claims, now)):
        return Reason(Obstacle.RATE_LIMITED, refusal=refusal)
    if nearest is None and not ahead and not is_more_ahead:
        return None
    nearest = nearest or Reason(Obstacle.BEHIND_OTHERS)
    return Reason(
        nearest.obstacle,
        nearest.worker_id,
        nearest.slot_type,
        nearest.used,
        nearest.total,
        ahead,
        is_more_ahead,
    )


def _nearest(task: ReadyTask, now: float, workers: Iterable[WorkerState]) -> Reason | None:
    """Return what keeps the task from the worker that is closest to taking it; None if one may."""
    needs = needs_of(task)
    nearest = Reason(Obstacle.NO_WORKER)
    for worker in workers:
        reason = explain_worker(worker, needs, now)
        if reason is None:
            return None
        if _closeness(reason) > _closeness(nearest):
            nearest = reason
    return nearest


def _closeness(reason: Reason) -> tuple[int, int]:
    return (reason.obstacle, reason.total - reason.used)
