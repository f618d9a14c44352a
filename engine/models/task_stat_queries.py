"""How many tasks of each kind are waiting and working right now."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Count, Min, Q, QuerySet

from engine.models.definitions import Step
from engine.models.runs import Task
from engine.models.workflow_queries import with_latest_version, workflows_of
from engine.states import Status

MOST_NAMES = 1_000


class TaskCount(NamedTuple):
    task_name: str
    status: Status
    action_id: str
    number: int
    oldest: datetime
    oldest_first_attempt: datetime | None


def task_counts(tenant_id: UUID) -> list[TaskCount]:
    """Count tasks that wait for a worker or are on one, by step name, status and action."""
    # Two queries: each has its partial index, one over both states would read every task.
    rows = [
        *_counted(Q(tenant_id=tenant_id, status=Status.QUEUED, is_delayed=False)),
        *_counted(Q(tenant_id=tenant_id, status=Status.RUNNING)),
    ]
    names = step_names({row["step_id"] for row in rows})
    return [
        TaskCount(
            task_name=names.get(row["step_id"], row["action_id"]),
            status=Status(row["status"]),
            action_id=row["action_id"],
            number=row["number"],
            oldest=row["oldest"],
            oldest_first_attempt=row["oldest_first"],
        )
        for row in rows
    ]


def known_tasks(tenant_id: UUID) -> list[str]:
    """Return the names of tasks in the newest versions of workflows, up to a number of them."""
    newest: QuerySet[Any] = with_latest_version(workflows_of(tenant_id)).order_by()
    latest = newest.values("latest_id")
    names = Step.objects.filter(version_id__in=latest).order_by("readable_id")
    return list(names.values_list("readable_id", flat=True).distinct()[:MOST_NAMES])


def step_names(step_ids: set[UUID]) -> dict[UUID, str]:
    return dict(Step.objects.filter(id__in=step_ids).values_list("id", "readable_id"))


def _counted(which: Q) -> list[Any]:
    return list(
        Task.objects.filter(which)
        .values("step_id", "status", "action_id")
        .annotate(
            number=Count("id"),
            oldest=Min("queued_at"),
            oldest_first=Min("queued_at", filter=Q(retry_count=0)),
        )
        .order_by()
    )
