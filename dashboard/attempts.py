"""Reads the attempts of tasks out of a run's event log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dashboard.payloads import Shown, show_text
from engine.models.runs import TaskEvent
from engine.states import TaskEventKind as Kind

_OUTCOMES = {
    Kind.FINISHED: "completed",
    Kind.FAILED: "failed",
    Kind.TIMED_OUT: "failed",
    Kind.SCHEDULING_TIMED_OUT: "failed",
    Kind.CANCELLED: "cancelled",
    Kind.REASSIGNED: "cancelled",
    Kind.SKIPPED: "skipped",
}


@dataclass(slots=True)
class Attempt:
    """One try of one task: from its queueing to what became of it."""

    task_id: UUID
    retry_count: int
    state: str = "queued"
    worker_id: UUID | None = None
    worker_name: str = ""
    queued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    message: str = ""
    error: Shown | None = None

    @property
    def number(self) -> int:
        return self.retry_count + 1


def attempts_of(newest_first: Iterable[TaskEvent]) -> list[Attempt]:
    """Return the attempts of all tasks, the latest first."""
    attempts: dict[tuple[UUID, int], Attempt] = {}
    for event in reversed(list(newest_first)):
        key = (event.task_id, event.retry_count)
        attempt = attempts.setdefault(key, Attempt(event.task_id, event.retry_count))
        _apply(attempt, event)
    return list(attempts.values())[::-1]


def _apply(attempt: Attempt, event: TaskEvent) -> None:
    kind = Kind(event.kind)
    if event.worker_id is not None:
        attempt.worker_id = event.worker_id
        attempt.worker_name = getattr(event, "worker_name", None) or ""
    if kind == Kind.QUEUED and attempt.queued_at is None:
        attempt.queued_at = event.at
    elif kind == Kind.STARTED and attempt.state == "queued":
        attempt.started_at, attempt.state = event.at, "running"
    elif kind in _OUTCOMES and attempt.ended_at is None:
        attempt.ended_at, attempt.state = event.at, _OUTCOMES[kind]
        attempt.message = getattr(event, "said", "")
        if attempt.state == "failed":
            attempt.error = show_text(getattr(event, "error_head", None), None)
