"""When the tasks of a run, and of the runs they spawned, waited and worked (V1TaskTiming)."""

from __future__ import annotations

from uuid import UUID

from engine.api.run_shapes import without_nones
from engine.api.runs import numbers_of_children, tasks_of_runs
from engine.ids import number_of
from engine.models import Run, Task
from engine.models.names import Names, load_names
from engine.models.run_queries import lean_runs
from tenants.rest.errors import AnyDict, bad_request
from tenants.rest.render import metadata, timestamp

MOST_TASKS = 10_000


def timings_of(run: Run, depth: int) -> list[AnyDict]:
    """Return tasks depth first, children of tasks down to `depth`; two queries a level."""
    tasks_by_run = {run.id: tasks_of_runs([run])}
    children_by_task: dict[UUID, list[Run]] = {}
    level, total = tasks_by_run[run.id], len(tasks_by_run[run.id])
    for _ in range(depth):
        spawned = _children_of(run.tenant_id, level)
        for child in spawned:
            assert child.parent_task_id is not None
            children_by_task.setdefault(child.parent_task_id, []).append(child)
        total += len(spawned) + sum(numbers_of_children(spawned).values())
        if total > MOST_TASKS:
            raise bad_request(f"more than {MOST_TASKS} tasks; ask for fewer levels", field="depth")
        level = tasks_of_runs(spawned)
        for task in level:
            tasks_by_run.setdefault(task.run_id, []).append(task)
        if not level:
            break
    every = [task for tasks in tasks_by_run.values() for task in tasks]
    names = load_names([], [task.step_id for task in every])

    rows: list[AnyDict] = []

    def visit(current: Run, at_depth: int) -> None:
        for task in tasks_by_run.get(current.id, ()):
            rows.append(_timing(task, at_depth, current.parent_task_id, names))
            for child in children_by_task.get(task.id, ()):
                visit(child, at_depth + 1)

    visit(run, 0)
    return rows


def _children_of(tenant_id: UUID, tasks: list[Task]) -> list[Run]:
    if not tasks:
        return []
    spawned = lean_runs().filter(
        tenant_id=tenant_id, parent_task_id__in=[task.id for task in tasks]
    )
    return list(spawned.order_by("id")[: MOST_TASKS + 1])


def _timing(task: Task, depth: int, parent_task_id: UUID | None, names: Names) -> AnyDict:
    return without_nones(
        {
            "metadata": metadata(task.id, task.created_at),
            "depth": depth,
            "status": task.shown_status.name,
            "isEvicted": task.is_off_worker,
            "taskDisplayName": names.task_display_name(task.id, task.step_id),
            "taskExternalId": str(task.id),
            "taskId": number_of(task.id),
            "taskInsertedAt": timestamp(task.created_at),
            "tenantId": str(task.tenant_id),
            "parentTaskExternalId": None if parent_task_id is None else str(parent_task_id),
            "queuedAt": timestamp(task.queued_at),
            "startedAt": timestamp(task.started_at),
            "finishedAt": timestamp(task.finished_at),
            "workflowRunId": str(task.run_id),
            "retryCount": task.retry_count,
            "attempt": task.retry_count + 1,
        }
    )
