"""Reading querysets over durable tasks: the log, its branches, what is waited for and until when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import orjson
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Left

from engine.domain.durable.calls import Node
from engine.models.durable import DurableEntry, DurableTask, DurableWait
from engine.models.runs import Run, Task
from engine.models.wide_columns import with_small
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


def durable_tasks(tenant_id: UUID, task_ids: Sequence[UUID]) -> QuerySet[DurableTask]:
    """The counters of the logs of these tasks, as far as they have one."""
    return DurableTask.objects.filter(tenant_id=tenant_id, task_id__in=task_ids)


def log_entries(task_id: UUID) -> QuerySet[DurableEntry]:
    """Everything a durable task has called, on all branches, in order, without the outcomes' bytes."""
    entries = DurableEntry.objects.filter(task_id=task_id).exclude(branch_id=_SIGNAL_BRANCH)
    return entries.order_by("branch_id", "node_id").defer("result", "identity")


def entries_page(
    task_id: UUID, *, before: Node | None, size: int, error_size: int, most_detail: int
) -> tuple[list[DurableEntry], bool]:
    """Return the last entries of a log, or the last ones before a node, and whether there are earlier ones.

    Each has the head of its error, `error_head`, and `small_detail` where that is not too long.
    """
    entries = with_small(log_entries(task_id), "detail", most_detail)
    entries = entries.annotate(error_head=Left("error", error_size))
    entries = entries.defer("result", "identity", "error", "description", "detail")
    if before is not None:
        is_same_branch = Q(branch_id=before.branch_id, node_id__lt=before.node_id)
        entries = entries.filter(is_same_branch | Q(branch_id__lt=before.branch_id))
    page: list[DurableEntry] = list(entries.order_by("-branch_id", "-node_id")[: size + 1])
    return page[:size][::-1], len(page) > size


def waits_of_entries(
    task_id: UUID, nodes: Sequence[Node], *, most: int
) -> dict[tuple[int, int], list[DurableWait]]:
    """What these entries wait for, the first `most` conditions of each."""
    found: dict[tuple[int, int], list[DurableWait]] = defaultdict(list)
    if not nodes:
        return found
    rows = DurableWait.objects.filter(
        task_id=task_id,
        branch_id__in={node.branch_id for node in nodes},
        node_id__in={node.node_id for node in nodes},
        ordinal__lt=most,
    )
    for wait in rows.defer("payload").order_by("branch_id", "node_id", "ordinal"):
        found[wait.branch_id, wait.node_id].append(wait)
    return found


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


def runs_off_worker() -> Q:
    """True of running runs that wait without a worker: all their unfinished tasks do."""
    own = Task.objects.filter(IS_OFF_WORKER, id=OuterRef("id"))
    steps = Task.objects.filter(run_id=OuterRef("id"), id__gt=OuterRef("id"))
    steps = steps.exclude(run_id=F("id"))  # says what the index on run_id says
    others = steps.filter(Q(status__lte=Status.RUNNING) & ~IS_OFF_WORKER)
    of_graph = Q(Exists(off_worker(steps))) & ~Q(Exists(others))
    return Q(status=Status.RUNNING) & (Q(Exists(own), is_dag=False) | Q(of_graph, is_dag=True))


def which_are_off_worker(runs: Sequence[Run]) -> set[UUID]:
    """Return the ids of those of these runs that wait without a worker; no query if none is running."""
    running = [run.id for run in runs if run.status == Status.RUNNING]
    if not running:
        return set()
    found = Run.objects.filter(runs_off_worker(), id__in=running)
    return set(found.values_list("id", flat=True))
