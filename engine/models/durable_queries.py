"""Reading querysets over durable tasks: the log, its branches, what is waited for and until when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import orjson
from django.db.models import F, Q, QuerySet

from engine.models.durable import DurableEntry, DurableTask, DurableWait
from engine.models.runs import Task
from engine.states import Status

_SIGNAL_BRANCH = 0

IS_OFF_WORKER = Q(status=Status.RUNNING, is_evicted=True)
"""Tasks that wait without a worker; `RUNNING` ones in the sense of lists include them."""


class Branch(NamedTuple):
    """A branch of a log; one that is not the first shares what its parent has before `first_node`."""

    id: int
    parent_id: int | None = None
    first_node: int = 1


def durable_task(tenant_id: UUID, task_id: UUID) -> DurableTask | None:
    """The counters of a durable task's log; None before its first assignment, and for other tasks."""
    return DurableTask.objects.filter(tenant_id=tenant_id, task_id=task_id).first()


def log_entries(task_id: UUID) -> QuerySet[DurableEntry]:
    """Everything a durable task has called, on all branches, in order, without the outcomes' bytes."""
    entries = DurableEntry.objects.filter(task_id=task_id).exclude(branch_id=_SIGNAL_BRANCH)
    return entries.order_by("branch_id", "node_id").defer("result", "identity")


def branches(task: DurableTask) -> list[Branch]:
    """All branches of a log, the first one first."""
    forks = orjson.loads(task.forks) if task.forks else []
    return [
        Branch(1),
        *(Branch(number, parent, first) for number, (parent, first) in enumerate(forks, start=2)),
    ]


def open_durable_waits(
    task_ids: Sequence[UUID],
) -> dict[UUID, dict[tuple[int, int], list[DurableWait]]]:
    """What these tasks wait for, by task and (branch, node); what a reset has left behind is not."""
    found: dict[UUID, dict[tuple[int, int], list[DurableWait]]] = defaultdict(
        lambda: defaultdict(list)
    )
    rows = DurableWait.objects.filter(task_id__in=task_ids, is_dropped=False).defer("payload")
    for wait in rows.order_by("task_id", "branch_id", "node_id", "ordinal"):
        found[wait.task_id][wait.branch_id, wait.node_id].append(wait)
    return found


def next_wake_ups(task_ids: Sequence[UUID]) -> dict[UUID, DurableWait]:
    """The first sleep of each of these tasks to end."""
    rows = DurableWait.objects.filter(
        task_id__in=task_ids, is_dropped=False, satisfied_at=None, due_at__isnull=False
    )
    return {
        wait.task_id: wait
        for wait in rows.order_by("task_id", F("due_at").asc()).distinct("task_id")
    }


def off_worker(tasks: QuerySet[Task]) -> QuerySet[Task]:
    """Narrow to tasks that wait without a worker."""
    return tasks.filter(IS_OFF_WORKER)
