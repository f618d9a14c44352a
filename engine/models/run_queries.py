"""Read querysets over runs. They never touch payload bytes unless the name says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import (
    OuterRef,
    QuerySet,
    Subquery,
    Sum,
)

from engine.models.definitions import Workflow
from engine.models.runs import Run, RunTally, Task
from engine.states import Status


def lean_runs() -> QuerySet[Run]:
    """Runs without the columns that may be large and that lists do not show, or read apart."""
    return Run.objects.defer("additional_metadata", "desired_labels", "child_key")


def runs_of(tenant_id: UUID) -> QuerySet[Run]:
    return Run.objects.filter(tenant_id=tenant_id)


def with_workflow_names(runs: QuerySet[Run]) -> QuerySet[Run]:
    """Annotate `workflow_name`; deleted workflows keep theirs."""
    names = Workflow.objects.filter(id=OuterRef("workflow_id")).values("name")[:1]
    return runs.annotate(workflow_name=Subquery(names))


def with_attempt_times(runs: QuerySet[Run]) -> QuerySet[Run]:
    """Annotate when a standalone run's present attempt was queued and started; of graphs there is none."""
    task = Task.objects.filter(id=OuterRef("id"))
    return runs.annotate(
        attempt_queued_at=Subquery(task.values("queued_at")[:1]),
        attempt_started_at=Subquery(task.values("started_at")[:1]),
    )


def status_counts(
    tenant_id: UUID,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    workflow_ids: Sequence[UUID] = (),
) -> dict[Status, int]:
    """Count runs by status from the per-minute tally; bounds are widened to whole minutes."""
    tally = RunTally.objects.filter(tenant_id=tenant_id)
    if since is not None:
        tally = tally.filter(minute__gte=since.replace(second=0, microsecond=0))
    if until is not None:
        tally = tally.filter(minute__lt=until + timedelta(minutes=1))
    if workflow_ids:
        tally = tally.filter(workflow_id__in=workflow_ids)
    sums: Iterable[tuple[int, int]] = tally.values_list("status").annotate(runs=Sum("delta"))
    counts = dict.fromkeys(Status, 0)
    counts.update((Status(status), max(runs, 0)) for status, runs in sums)
    return counts


def status_counts_by_workflow(tenant_id: UUID, *, since: datetime) -> dict[UUID, dict[Status, int]]:
    """Count runs by workflow and status from the per-minute tally, in one query."""
    tally = RunTally.objects.filter(
        tenant_id=tenant_id, minute__gte=since.replace(second=0, microsecond=0)
    )
    counts: dict[UUID, dict[Status, int]] = {}
    rows: Iterable[tuple[UUID, int, int]] = tally.values_list("workflow_id", "status").annotate(
        runs=Sum("delta")
    )
    for workflow_id, status, runs in rows:
        counts.setdefault(workflow_id, {})[Status(status)] = max(runs, 0)
    return counts
