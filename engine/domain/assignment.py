"""Which worker may take a task, and why a task waits: the rules, without the bookkeeping.

Every rule that can refuse a worker belongs in `find_obstacle`, so that what refuses a task is also what
explains it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

from engine.domain.affinity import affinity_of
from engine.domain.batches import BatchPlace
from engine.domain.rate_limits import LimitClaims, Refusal
from engine.states import ConcurrencyStrategy
from engine.types import DesiredLabels

HEARTBEAT_FRESH_SECONDS = 5.0
"""A worker whose last heartbeat is this old gets nothing new."""

ANY_SLOT = ""
"""Slot type of tasks which need no slot at all; every worker has it without end."""

UNLIMITED = 1 << 62

Shape = tuple[tuple[str, int], ...]
"""The slots a task needs, comparable: slot types in order with their units."""


class Placement(NamedTuple):
    """Which workers a task asks for, besides those which know its action.

    `worker_id` is preferred, if it may take the task; `is_bound` means that no other may.
    """

    labels: DesiredLabels = ()
    worker_id: UUID | None = None
    is_bound: bool = False


class Needs(NamedTuple):
    """All that tells which workers may take a task: tasks with equal needs wait in one line."""

    shape: Shape
    placement: Placement | None = None


class GroupId(NamedTuple):
    """Which concurrency group: a version's step, the strategy's place in its chain, and the key.

    The ordinal is `WHOLE_RUN` where runs ask, not tasks. Strategies of the whole tenant have a name;
    which version asks does not matter then.
    """

    version_id: UUID
    ordinal: int
    number: int
    key: str
    name: str = ""


WHOLE_RUN = -1


class Claim(NamedTuple):
    """That somebody needs a slot of a concurrency group, of which there are `max_runs`."""

    group: GroupId
    max_runs: int
    strategy: ConcurrencyStrategy
    counts_priority: bool = False
    """Whether, where the newer supersedes the older, a higher priority supersedes both."""
    is_computed: bool = False
    """Whether `max_runs` was computed for who asks: the newest of a group says what holds for all."""


class RunClaims(NamedTuple):
    """What a run of several tasks asks for, once for all its tasks, until it ends."""

    id: int
    chain: tuple[Claim, ...]
    priority: int
    arrival: int
    """Greater for who came later, and another one when the run is replayed after its end."""


class Claims(NamedTuple):
    """The groups in which a task needs slots, in the order in which it asks for them.

    `priority` is the run's, whatever the attempt's is; `arrival` is greater for who came later.
    """

    chain: tuple[Claim, ...]
    priority: int
    arrival: int
    run: RunClaims | None = None
    """What its run must hold before the task asks for anything."""
    batch: BatchPlace | None = None
    """Where it waits, with all those slots, to be run together with others."""


class SharedStrategy(NamedTuple):
    """A strategy of a whole tenant as it was registered last, whatever the asking version says."""

    max_runs: int
    strategy: ConcurrencyStrategy
    is_computed: bool = False


class ReadyTask(NamedTuple):
    """A queued task as the scheduler sees it. `priority` is the queue priority; `slots` is shared per step.

    `placement` is None for a task which takes any worker that knows its action. `is_restored`: the attempt was
    evicted from its worker and goes on elsewhere, with the slots of its concurrency groups, which it kept.
    """

    id: UUID
    retry_count: int
    action_id: str
    priority: int
    slots: Mapping[str, int]
    version_id: UUID
    step_id: UUID
    placement: Placement | None = None
    claims: Claims | None = None
    is_restored: bool = False
    limits: LimitClaims = ()
    has_begun: bool = False
    """Whether an attempt before this one was handed out since the task arrived in its groups."""
    is_resting: bool = False
    """Whether it is not to be queued before its back-off has ended: it holds no slots meanwhile."""
    admitted: int = 0
    """While it waits: greater for who was admitted by its groups later; 0 for who waited for nobody."""

    @property
    def is_kept(self) -> bool:
        """Whether it stays in memory however long its queue is: groups and rate limits know all theirs."""
        return self.claims is not None or bool(self.limits)

    @property
    def is_batched(self) -> bool:
        """Whether it runs together with others."""
        return self.claims is not None and self.claims.batch is not None

    def with_turn(self, admitted: int) -> ReadyTask:
        """Return the task as its groups admitted it. `admitted` is the last field: a fifth of `_replace`."""
        return ReadyTask._make((*self[:-1], admitted))

    def without_turn(self) -> ReadyTask:
        """Return the task as it was before its groups admitted it."""
        return self.with_turn(0) if self.admitted else self

    @property
    def due_limits(self) -> LimitClaims:
        """What it takes when it is assigned: one that goes on where it was took its units when it began."""
        return () if self.is_restored else self.limits


class Obstacle(IntEnum):
    """Why a task is not assigned; of those about workers the greater is closer to being assigned."""

    GROUP_FULL = 0
    NO_WORKER = 1
    BOUND_TO_ANOTHER = 2
    LABEL_MISMATCH = 3
    WORKERS_INACTIVE = 4
    WORKERS_STALE = 5
    WORKERS_STALLED = 6
    WORKERS_PAUSED = 7
    SLOTS_FULL = 8
    BEHIND_OTHERS = 9
    BATCH_FILLING = 10
    BATCHES_RUNNING = 11
    RATE_LIMITED = 12


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one task waits. The worker and slot fields name the worker which is closest to taking it.

    `ahead` counts the known tasks before it; `is_more_ahead` says that the database may hold others. A
    group is that in which it waits for a slot, and `holders` are the tasks and runs that have them.
    """

    obstacle: Obstacle
    worker_id: UUID | None = None
    slot_type: str = ""
    used: int = 0
    total: int = 0
    ahead: int = 0
    is_more_ahead: bool = False
    group: GroupId | None = None
    holders: tuple[UUID, ...] = ()
    refusal: Refusal | None = None


class WorkerState:
    """The facts about one worker that the rules look at. `free` may be negative after a take-over."""

    __slots__ = (
        "capacity",
        "free",
        "id",
        "is_active",
        "is_paused",
        "is_stalled",
        "labels",
        "last_heartbeat",
    )

    def __init__(self, worker_id: UUID) -> None:
        self.id = worker_id
        self.capacity: Mapping[str, int] = {}
        self.free: dict[str, int] = {ANY_SLOT: UNLIMITED}
        self.labels: Mapping[str, str | int] = {}
        self.is_active = False
        self.is_paused = self.is_stalled = False
        self.last_heartbeat: float | None = None


def shape_of(slots: Mapping[str, int]) -> Shape:
    """Return the comparable form of a task's slot needs; never empty."""
    if len(slots) == 1:
        shape = tuple(slots.items())
        if shape[0][1] > 0:
            return shape
    return tuple(sorted(item for item in slots.items() if item[1] > 0)) or ((ANY_SLOT, 0),)


def needs_of(task: ReadyTask) -> Needs:
    return Needs(shape_of(task.slots), task.placement)


def score_of(task: ReadyTask) -> int:
    """Return the task's rank in its action's queue as one positive integer; greater goes first.

    By priority, then by when it was admitted: for who waited for no group, by when it was created.
    """
    return (task.priority << 128) - (task.admitted or task.id.int)


def find_obstacle(worker: WorkerState, needs: Needs, now: float) -> Obstacle | None:
    """Return what keeps `worker` from taking a task with these needs now, or None if it may."""
    placement = needs.placement
    if placement is not None:
        if placement.is_bound and placement.worker_id not in (None, worker.id):
            return Obstacle.BOUND_TO_ANOTHER
        if placement.labels and affinity_of(placement.labels, worker.labels) is None:
            return Obstacle.LABEL_MISMATCH
    if not worker.is_active:
        return Obstacle.WORKERS_INACTIVE
    heartbeat = worker.last_heartbeat
    if heartbeat is None or now - heartbeat >= HEARTBEAT_FRESH_SECONDS:
        return Obstacle.WORKERS_STALE
    if worker.is_stalled:
        return Obstacle.WORKERS_STALLED
    if worker.is_paused:
        return Obstacle.WORKERS_PAUSED
    free = worker.free
    for slot_type, units in needs.shape:
        if free.get(slot_type, 0) < units:
            return Obstacle.SLOTS_FULL
    return None


def rank_of(worker: WorkerState, needs: Needs) -> tuple[bool, int, int]:
    """Return how much a task with these needs prefers `worker`, which may take it; greater goes first.

    The worker asked for, then the better labels, then the more free slots.
    """
    placement, free = needs.placement, worker.free[needs.shape[0][0]]
    if placement is None:
        return (False, 0, free)
    return (
        worker.id == placement.worker_id,
        affinity_of(placement.labels, worker.labels) or 0,
        free,
    )


def explain_worker(worker: WorkerState, needs: Needs, now: float) -> Reason | None:
    """Return `find_obstacle`'s answer in full: which slot type is short and how much of it is used."""
    obstacle = find_obstacle(worker, needs, now)
    if obstacle is None:
        return None
    if obstacle is not Obstacle.SLOTS_FULL:
        return Reason(obstacle, worker.id)
    slot_type = next(name for name, units in needs.shape if worker.free.get(name, 0) < units)
    total = worker.capacity.get(slot_type, 0)
    return Reason(obstacle, worker.id, slot_type, total - worker.free.get(slot_type, 0), total)
