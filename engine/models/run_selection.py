"""The runs and tasks that a filter selects, for lists; bulk actions take theirs from `run.matching`."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from engine.ids import ids_between
from engine.models.error_groups import FailedAttempt
from engine.models.metadata_filters import all_metadata_reads, any_metadata_reads
from engine.models.run_queries import lean_runs
from engine.models.runs import Run, Task
from engine.models.task_queries import lean_tasks
from engine.types import RunFilter


def selected_runs(tenant_id: UUID, run_filter: RunFilter, of_run: Q | None = None) -> QuerySet[Run]:
    """Select runs, which meet `of_run` besides; in no order, and without their wide columns."""
    runs = lean_runs().filter(_bounds(tenant_id, run_filter), _metadata(run_filter), of_run or Q())
    if run_filter.error_group_id is None:
        return runs
    return runs.filter(Exists(_failed(run_filter, run_id=OuterRef("id"))))


def selected_tasks(
    tenant_id: UUID, run_filter: RunFilter, of_run: Q | None = None
) -> QuerySet[Task]:
    """Select tasks by their own time and state; what a run carries is looked up there."""
    tasks = lean_tasks().filter(_bounds(tenant_id, run_filter))
    if run_filter.error_group_id is not None:
        tasks = tasks.filter(Exists(_failed(run_filter, task_id=OuterRef("id"))))
    carried = _metadata(run_filter) & (of_run or Q())
    if not carried:
        return tasks
    return tasks.filter(Exists(Run.objects.filter(carried, id=OuterRef("run_id"))))


def _bounds(tenant_id: UUID, run_filter: RunFilter) -> Q:
    """Conditions on columns that runs and tasks share."""
    first_id, last_id = ids_between(run_filter.since, run_filter.until)
    bounds = Q(tenant_id=tenant_id)
    if run_filter.since is not None:
        bounds &= Q(id__gte=first_id, created_at__gte=run_filter.since)
    if run_filter.until is not None:
        bounds &= Q(id__lte=last_id, created_at__lte=run_filter.until)
    if run_filter.statuses:
        bounds &= Q(status__in=run_filter.statuses)
    if run_filter.workflow_ids:
        bounds &= Q(workflow_id__in=run_filter.workflow_ids)
    return bounds


def _failed(run_filter: RunFilter, **of: OuterRef) -> QuerySet[FailedAttempt]:
    return FailedAttempt.objects.filter(group_id=run_filter.error_group_id, **of)


def _metadata(run_filter: RunFilter) -> Q:
    reads = all_metadata_reads if run_filter.needs_every_pair else any_metadata_reads
    return reads(run_filter.additional_metadata)
