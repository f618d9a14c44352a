"""Where a task or a run can stand, and every way from one place to another.

The columns of a task's row tell its stage; what is no stage, or no arrow, is an error of the statement that
wrote it. A property test walks random histories and finds no other arrow, and none here that is never taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from engine.states import Status


class TaskStage(Enum):
    """Where a task stands."""

    PARKED = "parked"
    """Waits for its parents or conditions; to everybody else it does not exist yet."""
    QUEUED = "queued"
    """Waits for a worker; its schedule timeout runs."""
    DELAYED = "delayed"
    """Waits for the end of a back-off, then for a worker."""
    HELD = "held"
    """Queued, but its workflow is paused."""
    RUNNING = "running"
    """Handed to a worker."""
    RELEASED = "released"
    """Running, its slot given to others."""
    EVICTED = "evicted"
    """A durable task that waits without a worker; it counts as running."""
    RESTORING = "restoring"
    """An evicted task that can go on, queued in the attempt it is in."""
    HELD_RESTORING = "held while restoring"
    COMPLETED = "completed"
    SKIPPED = "skipped"
    """Counts as completed; never handed to a worker."""
    FAILED = "failed"
    CANCELLED = "cancelled"


class TaskFlags(NamedTuple):
    """The columns that tell a task's stage; in `TASK_STAGES` None stands for either."""

    status: Status
    is_delayed: bool = False
    is_held: bool = False
    is_evicted: bool = False
    is_skipped: bool = False
    is_slot_released: bool | None = False
    has_due_at: bool = False
    has_worker: bool | None = False


TASK_STAGES: Mapping[TaskStage, TaskFlags] = {
    TaskStage.PARKED: TaskFlags(Status.QUEUED, is_delayed=True),
    TaskStage.QUEUED: TaskFlags(Status.QUEUED, has_due_at=True),
    TaskStage.DELAYED: TaskFlags(Status.QUEUED, is_delayed=True, has_due_at=True),
    TaskStage.HELD: TaskFlags(Status.QUEUED, is_delayed=True, is_held=True, has_due_at=True),
    TaskStage.RUNNING: TaskFlags(Status.RUNNING, has_due_at=True, has_worker=True),
    TaskStage.RELEASED: TaskFlags(
        Status.RUNNING, is_slot_released=True, has_due_at=True, has_worker=True
    ),
    TaskStage.EVICTED: TaskFlags(Status.RUNNING, is_evicted=True, is_slot_released=None),
    TaskStage.RESTORING: TaskFlags(
        Status.QUEUED, is_evicted=True, is_slot_released=None, has_due_at=True
    ),
    TaskStage.HELD_RESTORING: TaskFlags(
        Status.QUEUED,
        is_delayed=True,
        is_held=True,
        is_evicted=True,
        is_slot_released=None,
        has_due_at=True,
    ),
    TaskStage.COMPLETED: TaskFlags(Status.COMPLETED, is_slot_released=None, has_worker=None),
    TaskStage.SKIPPED: TaskFlags(Status.COMPLETED, is_skipped=True),
    TaskStage.FAILED: TaskFlags(Status.FAILED, is_slot_released=None, has_worker=None),
    TaskStage.CANCELLED: TaskFlags(Status.CANCELLED, is_slot_released=None, has_worker=None),
}


def task_stage(flags: TaskFlags) -> TaskStage:
    """Return where a task with these columns stands. ValueError if no task can look like that."""
    for stage, wanted in TASK_STAGES.items():
        if all(want is None or flag == want for flag, want in zip(flags, wanted, strict=True)):
            return stage
    raise ValueError(f"no task can look like this: {flags}")


TaskArrows = Mapping[TaskStage | None, frozenset[TaskStage]]
"""By stage, None for no row yet, the stages that can follow."""

_FINAL = frozenset({TaskStage.COMPLETED, TaskStage.FAILED, TaskStage.CANCELLED})

TASK_ARROWS: TaskArrows = {
    None: frozenset(
        {
            TaskStage.PARKED,
            TaskStage.QUEUED,
            TaskStage.RUNNING,
            TaskStage.SKIPPED,
            TaskStage.FAILED,
            TaskStage.CANCELLED,
        }
    ),
    TaskStage.PARKED: frozenset(
        {TaskStage.QUEUED, TaskStage.SKIPPED, TaskStage.FAILED, TaskStage.CANCELLED}
    ),
    TaskStage.QUEUED: frozenset(
        {TaskStage.RUNNING, TaskStage.HELD, TaskStage.FAILED, TaskStage.CANCELLED}
    ),
    TaskStage.DELAYED: frozenset({TaskStage.QUEUED, TaskStage.CANCELLED}),
    TaskStage.HELD: frozenset({TaskStage.QUEUED, TaskStage.CANCELLED}),
    TaskStage.RUNNING: _FINAL | {TaskStage.RELEASED, TaskStage.EVICTED},
    TaskStage.RELEASED: _FINAL | {TaskStage.EVICTED},
    TaskStage.EVICTED: _FINAL | {TaskStage.RESTORING},
    TaskStage.RESTORING: frozenset(
        {TaskStage.RUNNING, TaskStage.HELD_RESTORING, TaskStage.CANCELLED}
    ),
    TaskStage.HELD_RESTORING: frozenset({TaskStage.RESTORING, TaskStage.CANCELLED}),
}
"""Within one attempt. A stage may always follow itself; FAILED after QUEUED are keys that came to nothing."""

_AGAIN = frozenset({TaskStage.QUEUED, TaskStage.DELAYED})
_REPLAYED = frozenset({TaskStage.QUEUED, TaskStage.PARKED})

NEXT_ATTEMPT_ARROWS: TaskArrows = {
    TaskStage.RUNNING: _AGAIN,
    TaskStage.RELEASED: _AGAIN,
    TaskStage.EVICTED: _AGAIN,
    TaskStage.COMPLETED: _REPLAYED,
    TaskStage.SKIPPED: _REPLAYED,
    TaskStage.FAILED: _REPLAYED,
    TaskStage.CANCELLED: _REPLAYED,
}
"""With the next number of an attempt: retries of what ran, replays of what was final."""


RUN_ARROWS: Mapping[Status | None, frozenset[Status]] = {
    None: frozenset({Status.QUEUED, Status.RUNNING}),
    Status.QUEUED: frozenset({Status.RUNNING, Status.COMPLETED, Status.FAILED, Status.CANCELLED}),
    Status.RUNNING: frozenset({Status.QUEUED, Status.COMPLETED, Status.FAILED, Status.CANCELLED}),
    Status.COMPLETED: frozenset({Status.QUEUED, Status.RUNNING}),
    Status.FAILED: frozenset({Status.QUEUED, Status.RUNNING}),
    Status.CANCELLED: frozenset({Status.QUEUED, Status.RUNNING}),
}
"""What can follow the status of a run. A run leaves a final one, or runs anew, only by a replay."""
