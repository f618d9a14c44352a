"""Reads the attempts of tasks out of a run's event log, and what they came to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from dashboard.payloads import Shown, show_text
from engine.domain.endings import OUT_OF_REASSIGNMENTS, Ending, ending_of
from engine.models.runs import TaskEvent
from engine.models.task_queries import PastEvent
from engine.states import Status
from engine.states import TaskEventKind as Kind

_OUTCOMES = {
    Kind.FINISHED: "completed",
    Kind.FAILED: "failed",
    Kind.TIMED_OUT: "failed",
    Kind.SCHEDULING_TIMED_OUT: "cancelled",
    Kind.CANCELLED: "cancelled",
    Kind.REASSIGNED: "cancelled",
    Kind.SKIPPED: "skipped",
}
_STATE_OF_RUN = {Status.FAILED: "failed", Status.CANCELLED: "cancelled"}


@dataclass(slots=True)
class Attempt:
    """One try of one task: from its queueing to what became of it."""

    task_id: UUID
    retry_count: int
    name: str = ""
    state: str = "queued"
    worker_id: UUID | None = None
    worker_name: str = ""
    queued_at: datetime | None = None
    assigned_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    sleeps: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    """When a durable task was off its worker, and when it came back to one."""
    ending: Ending | None = None
    error: Shown | None = None

    @property
    def number(self) -> int:
        return self.retry_count + 1


def attempts_of(
    newest_first: Iterable[TaskEvent | PastEvent], names: Mapping[UUID, str]
) -> list[Attempt]:
    """Return the attempts of all tasks, the latest first; `names` are those of their steps."""
    attempts: dict[tuple[UUID, int], Attempt] = {}
    for event in reversed(list(newest_first)):
        task_id, number = event.task_id, event.retry_count
        new = Attempt(task_id, number, names.get(task_id, ""))
        _apply(attempts.setdefault((task_id, number), new), event)
    return list(attempts.values())[::-1]


def _apply(attempt: Attempt, event: TaskEvent | PastEvent) -> None:
    kind = Kind(event.kind)
    if event.worker_id is not None:
        attempt.worker_id = event.worker_id
        attempt.worker_name = getattr(event, "worker_name", None) or ""
    if kind == Kind.QUEUED and attempt.queued_at is None:
        attempt.queued_at = event.at
    elif kind == Kind.ASSIGNED and attempt.assigned_at is None:
        attempt.assigned_at = event.at
    elif kind == Kind.STARTED and attempt.state == "queued":
        attempt.started_at, attempt.state = event.at, "running"
    elif kind == Kind.DURABLE_EVICTED:
        attempt.sleeps.append((event.at, None))
    elif kind == Kind.DURABLE_RESTORING and attempt.sleeps:
        attempt.sleeps[-1] = (attempt.sleeps[-1][0], event.at)
    elif kind in _OUTCOMES and attempt.ended_at is None:
        said = getattr(event, "said", "")
        attempt.ended_at, attempt.state = event.at, _OUTCOMES[kind]
        if said == OUT_OF_REASSIGNMENTS:
            attempt.state = "failed"
        attempt.ending = ending_of(kind, said)
        if attempt.started_at is None and kind in (Kind.FINISHED, Kind.FAILED):
            attempt.started_at = attempt.assigned_at  # its worker said nothing before the outcome
        if attempt.state == "failed":
            attempt.error = show_text(getattr(event, "error_head", None), None)


def deciding_attempt(attempts: Sequence[Attempt], status: Status) -> Attempt | None:
    """Return the attempt that made a run end as it did: of the tasks' last ones the first that ended so."""
    wanted = _STATE_OF_RUN.get(status)
    last: dict[UUID, Attempt] = {}
    for attempt in attempts:
        last.setdefault(attempt.task_id, attempt)
    decisive = [(a.ended_at, a.task_id) for a in last.values() if a.state == wanted and a.ended_at]
    return last[min(decisive)[1]] if decisive else None


@dataclass(frozen=True, slots=True)
class Times:
    """How long a run ran, and waited in the queue, up to now; whether it does so at this moment.

    Time between attempts counts as neither: a run whose worker was lost does not run until the next one.
    """

    ran: timedelta
    waited: timedelta
    is_running: bool
    is_waiting: bool
    now: datetime

    @property
    def ran_since(self) -> datetime:
        """When it would have begun had it run without a break."""
        return self.now - self.ran

    @property
    def waited_since(self) -> datetime:
        return self.now - self.waited


def times_of(attempts: Iterable[Attempt], now: datetime) -> Times:
    """Attempts of several steps that ran at once count once."""
    ran, waited = [], []
    is_running = is_waiting = False
    for attempt in attempts:
        if attempt.started_at:
            ran.append((attempt.started_at, attempt.ended_at or now))
            is_running |= attempt.ended_at is None
        if attempt.queued_at:
            end = attempt.started_at or attempt.ended_at
            waited.append((attempt.queued_at, end or now))
            is_waiting |= end is None
    return Times(_covered(ran), _covered(waited), is_running, is_waiting, now)


def _covered(spans: Iterable[tuple[datetime, datetime]]) -> timedelta:
    """How much time lies in any of these spans."""
    total, reached = timedelta(), None
    for start, end in sorted(spans):
        begin = start if reached is None else max(start, reached)
        if end > begin:
            total += end - begin
            reached = end
    return total
