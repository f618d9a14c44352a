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

HEARTBEAT_FRESH_SECONDS = 5.0
"""A worker whose last heartbeat is this old gets nothing new."""

ANY_SLOT = ""
"""Slot type of tasks which need no slot at all; every worker has it without end."""

UNLIMITED = 1 << 62

Shape = tuple[tuple[str, int], ...]
"""What a task needs of a worker, comparable: slot types in order with their units."""


class ReadyTask(NamedTuple):
    """A queued task as the scheduler sees it. `priority` is the queue priority; `slots` is shared per step."""

    id: UUID
    retry_count: int
    action_id: str
    priority: int
    slots: Mapping[str, int]
    version_id: UUID
    step_id: UUID


class Obstacle(IntEnum):
    """Why a task is not assigned; the greater, the closer it is to being assigned."""

    NO_WORKER = 1
    WORKERS_INACTIVE = 2
    WORKERS_STALE = 3
    WORKERS_PAUSED = 4
    SLOTS_FULL = 5
    BEHIND_OTHERS = 6


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one task waits. The worker and slot fields name the worker which is closest to taking it.

    `ahead` counts the known tasks before it; `is_more_ahead` says that the database may hold others.
    """

    obstacle: Obstacle
    worker_id: UUID | None = None
    slot_type: str = ""
    used: int = 0
    total: int = 0
    ahead: int = 0
    is_more_ahead: bool = False


class WorkerState:
    """The facts about one worker that the rules look at. `free` may be negative after a take-over."""

    __slots__ = ("capacity", "free", "id", "is_active", "is_paused", "labels", "last_heartbeat")

    def __init__(self, worker_id: UUID) -> None:
        self.id = worker_id
        self.capacity: Mapping[str, int] = {}
        self.free: dict[str, int] = {ANY_SLOT: UNLIMITED}
        self.labels: Mapping[str, str | int] = {}
        self.is_active = False
        self.is_paused = False
        self.last_heartbeat: float | None = None


def shape_of(slots: Mapping[str, int]) -> Shape:
    """Return the comparable form of a task's slot needs; never empty."""
    if len(slots) == 1:
        shape = tuple(slots.items())
        if shape[0][1] > 0:
            return shape
    return tuple(sorted(item for item in slots.items() if item[1] > 0)) or ((ANY_SLOT, 0),)


def score_of(task: ReadyTask) -> int:
    """Return the task's rank in its action's queue as one positive integer; greater goes first."""
    return (task.priority << 128) - task.id.int


def find_obstacle(worker: WorkerState, shape: Shape, now: float) -> Obstacle | None:
    """Return what keeps `worker` from taking a task of this shape now, or None if it may."""
    if not worker.is_active:
        return Obstacle.WORKERS_INACTIVE
    heartbeat = worker.last_heartbeat
    if heartbeat is None or now - heartbeat >= HEARTBEAT_FRESH_SECONDS:
        return Obstacle.WORKERS_STALE
    if worker.is_paused:
        return Obstacle.WORKERS_PAUSED
    free = worker.free
    for slot_type, units in shape:
        if free.get(slot_type, 0) < units:
            return Obstacle.SLOTS_FULL
    return None


def explain_worker(worker: WorkerState, shape: Shape, now: float) -> Reason | None:
    """Return `find_obstacle`'s answer in full: which slot type is short and how much of it is used."""
    obstacle = find_obstacle(worker, shape, now)
    if obstacle is None:
        return None
    if obstacle is not Obstacle.SLOTS_FULL:
        return Reason(obstacle, worker.id)
    slot_type = next(name for name, units in shape if worker.free.get(name, 0) < units)
    total = worker.capacity.get(slot_type, 0)
    return Reason(obstacle, worker.id, slot_type, total - worker.free.get(slot_type, 0), total)
