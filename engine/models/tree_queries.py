"""Which runs a run's tasks spawned, and how many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db.models import Count, F

from engine.models.runs import Run, Task
from engine.states import Status


def tasks_by_run(runs: Iterable[Run]) -> dict[UUID, list[UUID]]:
    """The ids of the tasks of these runs."""
    found: dict[UUID, list[UUID]] = {}
    for run in runs:
        found[run.id] = [] if run.is_dag else [run.id]
    dags = [run_id for run_id, tasks in found.items() if not tasks]
    if dags:
        steps = Task.objects.filter(run_id__in=dags, id__gte=min(dags)).exclude(run_id=F("id"))
        for task_id, run_id in steps.values_list("id", "run_id"):
            found[run_id].append(task_id)
    return found


def child_counts(tenant_id: UUID, task_ids: Sequence[UUID]) -> dict[UUID, Counter[Status]]:
    """How many runs each of these tasks spawned, by status; tasks without any are left out."""
    if not task_ids:
        return {}
    spawned = Run.objects.filter(tenant_id=tenant_id, parent_task_id__in=task_ids)
    rows = spawned.values_list("parent_task_id", "status").annotate(number=Count("id")).order_by()
    counts: dict[UUID, Counter[Status]] = {}
    for task_id, status, number in rows:
        counts.setdefault(task_id, Counter())[Status(status)] = number
    return counts
