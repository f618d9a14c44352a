"""The details of a run that was just written, from what was written: nothing is read back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from engine.api.payloads import PayloadKey, Payloads
from engine.api.room import Room
from engine.api.run_details import details_of
from engine.models import Run, Task, TaskEvent
from engine.models.wide_columns import Wide
from engine.operations.parts.plan_runs import PlannedRun
from engine.states import PayloadKind, TaskEventKind
from engine.store.run_starts import NewRun
from engine.store.tasks import NewTask
from tenants.rest.errors import AnyDict


def details_of_new(planned: PlannedRun, now: datetime, *, may_view: bool) -> AnyDict:
    """What reading the run answers as long as nothing has happened to it."""
    new = sorted((*planned.tasks, *planned.waiting), key=lambda task: task.id)
    return details_of(
        _run(planned.run, now),
        [_task(task, now) for task in new],
        _payloads(planned.run, may_view=may_view),
        [_queued(task, now) for task in reversed(new) if not task.is_parked],
    )


def _run(new: NewRun, now: datetime) -> Run:
    return Run(
        id=new.id,
        tenant_id=new.tenant_id,
        workflow_id=new.workflow_id,
        version_id=new.version_id,
        status=new.status,
        is_dag=new.is_dag,
        priority=new.priority,
        trigger=new.trigger,
        parent_task_id=new.parent_task_id,
        idempotency_key=new.idempotency_key,
        created_at=now,
    )


def _task(new: NewTask, now: datetime) -> Task:
    return Task(
        id=new.id,
        tenant_id=new.tenant_id,
        run_id=new.run_id,
        workflow_id=new.workflow_id,
        version_id=new.version_id,
        step_id=new.step_id,
        action_id=new.action_id,
        status=new.status,
        queue_priority=new.queue_priority,
        created_at=now,
        queued_at=now,
    )


def _queued(task: NewTask, now: datetime) -> TaskEvent:
    event: Any = TaskEvent(
        id=task.queued_event_id,
        run_id=task.run_id,
        task_id=task.id,
        retry_count=0,
        kind=TaskEventKind.QUEUED,
        at=now,
    )
    event.message_length = 0
    queued: TaskEvent = event
    return queued


def _payloads(run: NewRun, *, may_view: bool) -> Payloads:
    data: dict[PayloadKey, Wide] = {}
    if may_view:
        data[(run.id, PayloadKind.INPUT, 0)] = Wide(len(run.input), run.input)
    carried = {} if run.additional_metadata is None else {run.id: _wide(run.additional_metadata)}
    return Payloads(data, carried, Room(), is_restricted=not may_view)


def _wide(text: str) -> Wide:
    encoded = text.encode()
    return Wide(len(encoded), encoded)
