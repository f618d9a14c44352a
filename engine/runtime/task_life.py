"""Tells what became of runs and tasks, from what was committed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from engine import telemetry
from engine.operations.changes import AttemptEnd, Changes
from engine.states import Status
from engine.types import Action, TaskReport

_ENDS = (
    "tasks.completed",
    "tasks.failed",
    "tasks.timed_out",
    "tasks.cancelled",
    "tasks.retried",
    "tasks.requeued",
)


def emit_changes(changes: Changes) -> None:
    """Tell of the runs that began and ended, and of the attempts that ended."""
    if changes.triggered:
        telemetry.emit_ids("runs.triggered", "run_ids", changes.triggered)
    if changes.ended and telemetry.hears(*_ENDS):
        _emit_ends(changes.ended)
    if changes.finished:
        finished = ((run.tenant_id, run.run_id) for run in changes.finished)
        telemetry.emit_ids("runs.finished", "run_ids", finished)


def _emit_ends(ended: Sequence[AttemptEnd]) -> None:
    in_time = [end for end in ended if not end.is_timed_out and not end.is_requeued]
    telemetry.emit_ids("tasks.completed", "task_ids", _with(Status.COMPLETED, in_time))
    telemetry.emit_ids("tasks.failed", "task_ids", _with(Status.FAILED, in_time))
    telemetry.emit_ids("tasks.cancelled", "task_ids", _with(Status.CANCELLED, in_time))
    telemetry.emit_ids("tasks.timed_out", "task_ids", _ids(end for end in ended if end.is_timed_out))
    telemetry.emit_ids("tasks.retried", "task_ids", _ids(end for end in ended if end.is_retried))
    telemetry.emit_ids("tasks.requeued", "task_ids", _ids(end for end in ended if end.is_requeued))


def _with(status: Status, ended: Iterable[AttemptEnd]) -> Iterator[tuple[UUID, UUID]]:
    return _ids(end for end in ended if end.status is status)


def _ids(ended: Iterable[AttemptEnd]) -> Iterator[tuple[UUID, UUID]]:
    return ((end.tenant_id, end.task_id) for end in ended)


def emit_started(reports: Sequence[TaskReport], started: set[UUID]) -> None:
    """Tell which tasks' STARTED was taken; a batch may hold further reports of them."""
    if started and telemetry.hears("tasks.started"):
        ids = {(r.tenant_id, r.task_id): None for r in reports if r.task_id in started}
        telemetry.emit_ids("tasks.started", "task_ids", ids)


def emit_assigned(actions: Iterable[Action]) -> None:
    """Tell of the attempts that these actions start."""
    if telemetry.hears("tasks.assigned"):
        ids = ((action.tenant_id, item.task_id) for action in actions for item in action.items)
        telemetry.emit_ids("tasks.assigned", "task_ids", ids)
