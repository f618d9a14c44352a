"""Emits what became of runs, tasks, crons and schedules, from what was committed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from uuid import UUID

from engine import telemetry
from engine.states import Status
from engine.store.changes import AttemptEnd, Changes
from engine.types import Action

_ENDS = (
    "tasks.completed",
    "tasks.failed",
    "tasks.timed_out",
    "tasks.cancelled",
    "tasks.retried",
    "tasks.requeued",
)


def emit_changes(changes: Changes) -> None:
    """Emit the events of one committed operation."""
    if changes.triggered:
        telemetry.emit_ids("runs.triggered", "run_ids", changes.triggered)
    if changes.started:
        telemetry.emit_ids("tasks.started", "task_ids", changes.started)
    if changes.ended and telemetry.is_heard(*_ENDS):
        _emit_ends(changes.ended)
    if changes.finished:
        finished = ((run.tenant_id, run.run_id) for run in changes.finished)
        telemetry.emit_ids("runs.finished", "run_ids", finished)
    if changes.crons_fired or changes.crons_missed or changes.schedules_fired:
        _emit_timetable(changes)


def _emit_ends(ended: Sequence[AttemptEnd]) -> None:
    in_time = [end for end in ended if not end.is_timed_out and not end.is_requeued]
    telemetry.emit_ids("tasks.completed", "task_ids", _with(Status.COMPLETED, in_time))
    telemetry.emit_ids("tasks.failed", "task_ids", _with(Status.FAILED, in_time))
    telemetry.emit_ids("tasks.cancelled", "task_ids", _with(Status.CANCELLED, in_time))
    telemetry.emit_ids(
        "tasks.timed_out", "task_ids", _ids(end for end in ended if end.is_timed_out)
    )
    telemetry.emit_ids("tasks.retried", "task_ids", _ids(end for end in ended if end.is_retried))
    telemetry.emit_ids("tasks.requeued", "task_ids", _ids(end for end in ended if end.is_requeued))


def _with(status: Status, ended: Iterable[AttemptEnd]) -> Iterator[tuple[UUID, UUID]]:
    return _ids(end for end in ended if end.status is status)


def _ids(ended: Iterable[AttemptEnd]) -> Iterator[tuple[UUID, UUID]]:
    return ((end.tenant_id, end.task_id) for end in ended)


def _emit_timetable(changes: Changes) -> None:
    for cron in changes.crons_fired:
        metadata = {"tenant_id": cron.tenant_id, "cron_id": cron.id}
        telemetry.emit("cron.fired", {"late_seconds": _since(cron.due_at)}, metadata)
    for cron_id, missed in changes.crons_missed:
        why = {"cron_id": cron_id, "cause": missed.cause.name.lower()}
        telemetry.emit("cron.missed", {"times": missed.times}, why)
    for schedule in changes.schedules_fired:
        metadata = {"tenant_id": schedule.tenant_id, "schedule_id": schedule.id}
        telemetry.emit("schedule.fired", {"late_seconds": _since(schedule.due_at)}, metadata)


def _since(due_at: datetime) -> float:
    return (datetime.now(UTC) - due_at).total_seconds()


def emit_assigned(actions: Iterable[Action]) -> None:
    """Emit which attempts these actions start."""
    if telemetry.is_heard("tasks.assigned"):
        ids = ((action.tenant_id, item.task_id) for action in actions for item in action.items)
        telemetry.emit_ids("tasks.assigned", "task_ids", ids)
