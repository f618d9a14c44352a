"""What workers are sent about tasks that are written as running from the start."""

from __future__ import annotations

from datetime import datetime

from engine.domain.definition import RegisteredVersion
from engine.domain.payload import action_payload
from engine.operations.parts.plan_runs import PlannedRun
from engine.operations.parts.versions import step_of
from engine.store.tasks import NewTask
from engine.types import Action, ActionKind


def start_action(
    item: PlannedRun, task: NewTask, version: RegisteredVersion, now: datetime
) -> Action:
    """Return the START of one of the first tasks of a new run, inserted at `now`: it has no parents."""
    run, step = item.run, step_of(version, task.step_id).definition
    return Action(
        kind=ActionKind.START,
        tenant_id=run.tenant_id,
        run_id=run.id,
        task_id=task.id,
        step_id=task.step_id,
        action_id=step.action_id,
        readable_id=step.readable_id,
        retry_count=0,
        priority=run.priority,
        workflow_id=run.workflow_id,
        version_id=run.version_id,
        payload=action_payload(
            run.input, filter_payload=run.filter_payload, by_event=run.event_id is not None
        ),
        additional_metadata=run.additional_metadata.encode() if run.additional_metadata else None,
        parent_run_id=run.parent_run_id,
        child_index=run.child_index,
        child_key=run.child_key,
        event_id=run.event_id,
        event_key=run.event_key,
        created_at=now,
        durable_invocation=1 if step.is_durable else None,
    )
