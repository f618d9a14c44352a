"""Turns planned steps of a run into task rows and their first log rows."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from engine.domain.concurrency import NO_KEYS, Keys
from engine.domain.conditions import SKIPPED_OUTPUT
from engine.domain.definition import RegisteredStep, RegisteredVersion
from engine.ids import new_id
from engine.states import PayloadKind, Status, TaskEventKind
from engine.store.payloads import NewPayload
from engine.store.task_events import NewTaskEvent
from engine.store.tasks import NewTask


def new_task(
    run_id: UUID,
    version: RegisteredVersion,
    step: RegisteredStep,
    *,
    priority: int,
    task_id: UUID | None = None,
    status: Status = Status.QUEUED,
    is_skipped: bool = False,
    desired_worker_id: UUID | None = None,
    desired_labels: str | None = None,
    is_parked: bool = False,
    keys: Keys = NO_KEYS,
    reason: str = "",
) -> NewTask:
    """Return the row of one step's task; queued ones get their schedule timeout, parked ones none.

    A task that would be queued fails at once if its keys could not be told.
    """
    if keys.error and status is Status.QUEUED:
        status = Status.FAILED
    return NewTask(
        id=task_id or new_id(),
        tenant_id=version.tenant_id,
        run_id=run_id,
        workflow_id=version.workflow_id,
        version_id=version.id,
        step_id=step.id,
        action_id=step.definition.action_id,
        status=status,
        queue_priority=priority,
        worker_id=None,
        is_skipped=is_skipped,
        timeout_seconds=None if is_parked else step.definition.schedule_timeout_seconds,
        queued_event_id=new_id(),
        desired_worker_id=desired_worker_id,
        desired_labels=desired_labels,
        concurrency_keys=keys.stored if status is Status.QUEUED else None,
        failure=keys.error or "" if status is Status.FAILED else "",
        reason=reason,
    )


def events_of(tasks: Iterable[NewTask]) -> list[NewTaskEvent]:
    """Return what the log says of freshly made tasks."""
    events = []
    for task in tasks:
        if task.is_parked:
            kinds = []
        elif task.is_skipped:
            kinds = [TaskEventKind.SKIPPED]
        elif task.status is Status.CANCELLED:
            kinds = [TaskEventKind.CANCELLED]
        elif task.status is Status.FAILED:
            kinds = [TaskEventKind.FAILED]
        elif task.status is Status.RUNNING:
            kinds = [TaskEventKind.QUEUED, TaskEventKind.ASSIGNED]
        else:
            kinds = [TaskEventKind.QUEUED]
        for kind in kinds:
            worker_id = task.worker_id if kind is TaskEventKind.ASSIGNED else None
            event = NewTaskEvent(
                task.run_id, task.id, 0, kind, task.failure or task.reason, worker_id
            )
            is_queued = kind is TaskEventKind.QUEUED
            events.append(event._replace(id=task.queued_event_id) if is_queued else event)
    return events


def outputs_of(tasks: Iterable[NewTask]) -> list[NewPayload]:
    """Return what tasks have from the start: outputs of skipped ones, errors of failed ones."""
    payloads = []
    for task in tasks:
        if task.is_skipped:
            payloads.append(NewPayload(task.id, PayloadKind.OUTPUT, SKIPPED_OUTPUT))
        elif task.failure:
            payloads.append(NewPayload(task.id, PayloadKind.ERROR, task.failure.encode()))
    return payloads
