"""What an operation changed, for those who act on it after the commit.

An operation yields it (`yield Changes(...)`), which costs no round trip. Whoever runs the operation
collects what one transaction yields: the engine applies it after the commit, Django's side turns it into
notifications within the transaction. What did not commit is heard of by nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.domain.assignment import ReadyTask
from engine.domain.cron.firing import Missed
from engine.domain.durable.calls import Completion
from engine.states import Status
from engine.types import Action


class AttemptEnd(NamedTuple):
    """An attempt that no longer runs. `status` is what the attempt came to, whatever follows it.

    `payload` is its output or error. `stop_on` names the worker to be told to stop, if it may still run.
    """

    tenant_id: UUID
    run_id: UUID
    task_id: UUID
    step_id: UUID
    version_id: UUID
    retry_count: int
    status: Status
    payload: bytes = b""
    stop_on: UUID | None = None
    is_timed_out: bool = False
    is_retried: bool = False
    """A further attempt follows, one of the task's retries."""
    is_requeued: bool = False
    """A further attempt follows that costs no retry: the worker was lost, or never took the task."""


class FinishedRun(NamedTuple):
    tenant_id: UUID
    run_id: UUID
    status: Status
    wakes_parent: bool = False
    """A durable task may wait for this run."""


class TimedFiring(NamedTuple):
    """A cron or schedule, by id, and the time it fired for."""

    tenant_id: UUID
    id: UUID
    due_at: datetime


class LeftSlots(NamedTuple):
    """That a run no longer holds slots or asks for them, as it did under this arrival."""

    tenant_id: UUID
    run_id: UUID
    arrival: UUID


@dataclass(slots=True)
class Changes:
    """One field a kind of change. What was yielded belongs to whoever collects it."""

    acknowledged: list[tuple[UUID, UUID]] = field(default_factory=list)
    """(tenant, task) whose workers have said that they got them."""
    assigned: list[tuple[UUID, Action]] = field(default_factory=list)
    """Actions for workers, by the worker's id: attempts that now run there."""
    ready: list[tuple[UUID, ReadyTask]] = field(default_factory=list)
    """Attempts now in the queue, with their tenants."""
    resting: list[tuple[UUID, ReadyTask]] = field(default_factory=list)
    """Attempts that wait for the end of a back-off before they ask their concurrency groups again."""
    ended: list[AttemptEnd] = field(default_factory=list)
    started: list[tuple[UUID, UUID]] = field(default_factory=list)
    """(tenant, task) whose workers have said that they began."""
    triggered: list[tuple[UUID, UUID]] = field(default_factory=list)
    """(tenant, run) of runs that began."""
    crons_fired: list[TimedFiring] = field(default_factory=list)
    crons_missed: list[tuple[UUID, Missed]] = field(default_factory=list)
    """Times for which crons did not fire, with the ids of these."""
    schedules_fired: list[TimedFiring] = field(default_factory=list)
    finished: list[FinishedRun] = field(default_factory=list)
    left: list[LeftSlots] = field(default_factory=list)
    """Runs that no longer hold slots of concurrency groups."""
    created: list[tuple[UUID, UUID]] = field(default_factory=list)
    """(run, task) of DAG tasks that came to be after their run started."""
    evicted: list[tuple[UUID, UUID, int]] = field(default_factory=list)
    """(tenant, task, retry count) of durable tasks that gave their workers' slots back."""
    completions: list[tuple[UUID, Completion]] = field(default_factory=list)
    """Entries of durable tasks that were completed, with their tenants."""
    withdrawn: list[tuple[UUID, UUID, int]] = field(default_factory=list)
    """(tenant, task, retry count) of attempts that left the queue and did not end: they are held."""
    sleeps_of: set[UUID] = field(default_factory=set)
    """Tenants with steps that began to sleep: the owner's clock must know."""
    backlogs: set[UUID] = field(default_factory=set)
    """Tenants with more in their queues than is named."""
    workers: list[tuple[UUID, UUID]] = field(default_factory=list)
    """(tenant, worker) of rows that were changed from outside."""
    limits: list[tuple[UUID, str]] = field(default_factory=list)
    """(tenant, key) of rate limits that were set, paused or deleted."""
    rules: set[UUID] = field(default_factory=set)
    """Tenants whose pauses or shared concurrency strategies changed."""
    catalogs: set[UUID] = field(default_factory=set)
    """Tenants in which workflows were registered or deleted."""
    timetables: set[UUID] = field(default_factory=set)
    """Tenants whose crons or schedules were set."""
    outboxes: set[UUID] = field(default_factory=set)
    """Tenants with rows of the outbox that are ready."""
    touched: set[tuple[UUID, UUID]] = field(default_factory=set)
    """(tenant, run) of everything that may look different now."""
    pages: set[tuple[UUID, str]] = field(default_factory=set)
    """(tenant, topic) of other dashboard pages that may look different now."""
    wakes_clock: bool = False
    """A due time was set that may come before those known."""

    def add(self, other: Changes) -> None:
        """Take over what the same transaction changed besides."""
        for name in _NAMES:
            more = getattr(other, name)
            if not more:
                continue
            mine = getattr(self, name)
            if not mine:
                setattr(self, name, more)
            elif isinstance(mine, list):
                mine.extend(more)
            elif isinstance(mine, set):
                mine.update(more)


_NAMES = tuple(each.name for each in fields(Changes))
