"""What an operation changed, told to those who act on it after the commit."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import NamedTuple
from uuid import UUID

from engine.domain.assignment import ReadyTask
from engine.domain.durable.calls import Completion
from engine.states import Status
from engine.store.run_slots import LeftSlots


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


@dataclass(slots=True)
class Changes:
    """Collected while the operation runs; means nothing unless its transaction committed."""

    ready: list[tuple[UUID, ReadyTask]] = field(default_factory=list)
    """Attempts now in the queue, with their tenants."""
    resting: list[tuple[UUID, ReadyTask]] = field(default_factory=list)
    """Attempts that wait for the end of a back-off before they ask their concurrency groups again."""
    ended: list[AttemptEnd] = field(default_factory=list)
    triggered: list[tuple[UUID, UUID]] = field(default_factory=list)
    """(tenant, run) of runs that were started."""
    finished: list[FinishedRun] = field(default_factory=list)
    left: list[LeftSlots] = field(default_factory=list)
    """Runs that no longer hold slots of concurrency groups."""
    created: list[tuple[UUID, UUID]] = field(default_factory=list)
    """(run, task) of DAG tasks that came to be after their run started."""
    touched: set[tuple[UUID, UUID]] = field(default_factory=set)
    """(tenant, run) of everything that may look different now."""
    sleeps_of: set[UUID] = field(default_factory=set)
    """Tenants with steps that began to sleep: the owner's clock must know."""
    collisions: dict[UUID, UUID] = field(default_factory=dict)
    """Runs that were not started because of their idempotency keys, and who holds those."""
    completions: list[tuple[UUID, Completion]] = field(default_factory=list)
    """Entries of durable tasks that were completed, with their tenants."""
    evicted: list[tuple[UUID, UUID, int]] = field(default_factory=list)
    """(tenant, task, retry count) of durable tasks that gave their workers' slots back."""
    wakes_clock: bool = False
    """A due time was set that may come before those known."""

    def add(self, other: Changes) -> None:
        """Take over what another operation of the same transaction changed."""
        for each in fields(self):
            mine, more = getattr(self, each.name), getattr(other, each.name)
            if isinstance(mine, bool):
                setattr(self, each.name, mine or more)
            elif isinstance(mine, list):
                mine.extend(more)
            else:
                mine.update(more)
