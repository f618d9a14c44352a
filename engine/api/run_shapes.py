"""How runs and tasks look in answers (V1TaskSummary, V1WorkflowRun)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from engine.api.payloads import Payloads
from engine.api.room import JsonObject
from engine.ids import number_of
from engine.models import Run, Task
from engine.models.names import Names
from engine.states import Status
from tenants.rest.errors import AnyDict
from tenants.rest.render import metadata, timestamp

NO_TASK = UUID(int=0)
OMITTED_TASKS = "hatchet__omitted_tasks"


def without_nones(shape: AnyDict) -> AnyDict:
    """What is not known yet is left out rather than sent as null."""
    return {key: value for key, value in shape.items() if value is not None}


def times(started_at: datetime | None, finished_at: datetime | None) -> AnyDict:
    duration = None
    if started_at is not None and finished_at is not None:
        duration = max(0, round((finished_at - started_at).total_seconds() * 1000))
    return {
        "startedAt": timestamp(started_at),
        "finishedAt": timestamp(finished_at),
        "duration": duration,
    }


def task_summary(
    task: Task, run: Run, names: Names, payloads: Payloads, spawned: int = 0
) -> AnyDict:
    """One task, as its latest attempt stands."""
    return without_nones(
        {
            **_common(run, names, payloads),
            **times(task.started_at, task.finished_at),
            "metadata": metadata(task.id, task.created_at),
            "createdAt": timestamp(task.created_at),
            "taskInsertedAt": timestamp(task.created_at),
            "displayName": names.task_display_name(task.id, task.step_id),
            "status": task.shown_status.name,
            "type": "TASK",
            "taskExternalId": str(task.id),
            "taskId": number_of(task.id),
            "stepId": str(task.step_id),
            "actionId": task.action_id,
            "retryCount": task.retry_count,
            "attempt": task.retry_count + 1,
            "output": payloads.output_of(task),
            "errorMessage": payloads.error_of(task.id, task.retry_count),
            "numSpawnedChildren": spawned,
            "idempotencyKey": run.idempotency_key,
            "isDurable": task.step_id in names.durable_steps,
            "isEvicted": task.is_off_worker,
        }
    )


def run_summary(run: Run, tasks: Sequence[Task], names: Names, payloads: Payloads) -> AnyDict:
    """One run: a DAG with its tasks as children, or its only task under the workflow's name."""
    if not run.is_dag and tasks:
        return task_summary(tasks[0], run, names, payloads) | {
            "displayName": names.run_display_name(run.id, run.workflow_id)
        }
    return without_nones(
        {
            **_graph(run, names, payloads),
            "output": run_output(run, tasks, names, payloads),
            "errorMessage": first_error(tasks, payloads),
            "isEvicted": bool(tasks) and all(task.is_off_worker for task in tasks),
            "children": [task_summary(task, run, names, payloads) for task in tasks],
        }
    )


def run_without_tasks(
    run: Run, number: int, names: Names, payloads: Payloads, *, is_evicted: bool
) -> AnyDict:
    """A DAG with more tasks than a list has room for: it says how many, and its details have them."""
    return without_nones(
        {
            **_graph(run, names, payloads),
            "output": {OMITTED_TASKS: number},
            "isEvicted": is_evicted,
        }
    )


def _graph(run: Run, names: Names, payloads: Payloads) -> AnyDict:
    return {
        **_common(run, names, payloads),
        **times(run.started_at, run.finished_at),
        "metadata": metadata(run.id, run.created_at, _last_change(run)),
        "createdAt": timestamp(run.created_at),
        "taskInsertedAt": timestamp(run.created_at),
        "displayName": names.run_display_name(run.id, run.workflow_id),
        "status": Status(run.status).name,
        "type": "DAG" if run.is_dag else "TASK",
        "taskExternalId": str(run.id),
        "taskId": 0,
        "numSpawnedChildren": 0,
        "idempotencyKey": run.idempotency_key,
    }


def run_shape(run: Run, tasks: Sequence[Task], names: Names, payloads: Payloads) -> AnyDict:
    return without_nones(
        {
            **times(run.started_at, run.finished_at),
            "metadata": metadata(run.id, run.created_at, _last_change(run)),
            "createdAt": timestamp(run.created_at),
            "status": Status(run.status).name,
            "tenantId": str(run.tenant_id),
            "displayName": names.run_display_name(run.id, run.workflow_id),
            "workflowId": str(run.workflow_id),
            "workflowVersionId": str(run.version_id),
            "input": payloads.input_of(run.id),
            "output": run_output(run, tasks, names, payloads),
            "additionalMetadata": payloads.metadata_of(run.id),
            "errorMessage": first_error(tasks, payloads),
            "parentTaskExternalId": _text(run.parent_task_id),
            "payloadsRestricted": payloads.is_restricted or None,
        }
    )


def run_output(run: Run, tasks: Iterable[Task], names: Names, payloads: Payloads) -> JsonObject:
    """A single task's output, or for a DAG the outputs of its completed steps by name."""
    if not run.is_dag:
        return next((payloads.output_of(task) for task in tasks), {})
    if payloads.is_restricted:
        return {}
    return {
        names.steps.get(task.step_id, str(task.step_id)): payloads.output_of(task)
        for task in tasks
        if task.status == Status.COMPLETED
    }


def first_error(tasks: Iterable[Task], payloads: Payloads) -> str | None:
    failed = sorted(
        (task for task in tasks if task.status == Status.FAILED),
        key=lambda task: (task.finished_at or task.created_at, task.id),
    )
    return next((payloads.error_of(task.id, task.retry_count) for task in failed), None)


def group_by_run(tasks: Iterable[Task], run_ids: Collection[UUID]) -> dict[UUID, list[Task]]:
    groups: dict[UUID, list[Task]] = {run_id: [] for run_id in run_ids}
    for task in tasks:
        groups.setdefault(task.run_id, []).append(task)
    return groups


def _common(run: Run, names: Names, payloads: Payloads) -> dict[str, Any]:
    return {
        "tenantId": str(run.tenant_id),
        "workflowId": str(run.workflow_id),
        "workflowName": names.workflows.get(run.workflow_id),
        "workflowVersionId": str(run.version_id),
        "workflowRunExternalId": str(run.id),
        "parentTaskExternalId": _text(run.parent_task_id),
        "additionalMetadata": payloads.metadata_of(run.id),
        "input": payloads.input_of(run.id),
        "payloadsRestricted": payloads.is_restricted or None,
    }


def _last_change(run: Run) -> datetime:
    return run.finished_at or run.started_at or run.created_at


def _text(identity: UUID | None) -> str | None:
    return None if identity is None else str(identity)
