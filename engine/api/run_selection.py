"""Which runs or tasks a list is about, read from its query string."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from engine.ids import id_at
from engine.models import Run, Task
from engine.models.durable_queries import IS_OFF_WORKER, runs_off_worker
from engine.models.metadata_filters import all_metadata_reads, any_metadata_reads
from engine.models.run_queries import lean_runs
from engine.models.task_queries import lean_tasks
from engine.states import Status
from tenants.rest.errors import bad_request
from tenants.rest.params import Query

CLOCK_SKEW = timedelta(seconds=5)


class RunningFilter(Enum):
    ALL = "ALL"
    EVICTED = "EVICTED"
    ON_WORKER = "ON_WORKER"


class MetadataOperator(Enum):
    OR = "OR"
    AND = "AND"


def upper_bound(until: datetime | None) -> datetime | None:
    """Return `until`, or None when it means "now": no clock may hide the newest rows."""
    if until is None or until >= datetime.now(UTC) - CLOCK_SKEW:
        return None
    return until


@dataclass(frozen=True, slots=True)
class RunSelection:
    tenant_id: UUID
    since: datetime
    until: datetime | None
    statuses: Sequence[Status]
    running_filter: RunningFilter
    workflow_ids: Sequence[UUID]
    metadata: Q
    parent_task_id: UUID | None
    event_id: UUID | None
    worker_id: UUID | None
    idempotency_keys: Sequence[str]

    @classmethod
    def of(cls, query: Query, tenant_id: UUID) -> RunSelection:
        pairs = query.pairs("additional_metadata")
        operator = query.member(
            "additional_metadata_operator", MetadataOperator, MetadataOperator.OR
        )
        combine = all_metadata_reads if operator is MetadataOperator.AND else any_metadata_reads
        return cls(
            tenant_id=tenant_id,
            since=query.required_moment("since"),
            until=upper_bound(query.moment("until")),
            statuses=query.members("statuses", Status),
            running_filter=query.member("running_filter", RunningFilter, RunningFilter.ALL),
            workflow_ids=query.uuids("workflow_ids"),
            metadata=combine(pairs),
            parent_task_id=query.uuid("parent_task_external_id"),
            event_id=query.uuid("triggering_event_external_id"),
            worker_id=query.uuid("worker_id"),
            idempotency_keys=query.texts("idempotency_keys"),
        )

    def runs(self) -> QuerySet[Run]:
        """Select runs, newest first."""
        if self.worker_id is not None:
            raise bad_request("worker_id needs only_tasks=true", field="worker_id")
        runs = lean_runs().filter(self._bounds(), self._of_run())
        if self.running_filter is not RunningFilter.ALL:
            runs = runs.filter(self._among_running(runs_off_worker()))
        return runs.order_by("-id")

    def evicted_runs(self) -> QuerySet[Run]:
        """Select the running ones of the runs all of whose unfinished tasks are evicted."""
        evicted = replace(self, running_filter=RunningFilter.EVICTED, statuses=[Status.RUNNING])
        return evicted.runs()

    def tasks(self) -> QuerySet[Task]:
        """Select tasks, newest first; what a run carries is looked up there."""
        tasks = lean_tasks().filter(self._bounds(), self._among_running(IS_OFF_WORKER))
        of_run = self._of_run()
        if of_run:
            tasks = tasks.filter(Exists(Run.objects.filter(of_run, id=OuterRef("run_id"))))
        if self.worker_id is not None:
            tasks = tasks.filter(worker_id=self.worker_id)
        return tasks.order_by("-id")

    def _among_running(self, away: Q) -> Q:
        """What the running must be besides; `away` holds for those that are evicted."""
        if self.running_filter is RunningFilter.ALL:
            return Q()
        wanted = away if self.running_filter is RunningFilter.EVICTED else ~away
        return ~Q(status=Status.RUNNING) | wanted

    def _bounds(self) -> Q:
        """Conditions on columns that runs and tasks share."""
        bounds = Q(tenant_id=self.tenant_id, id__gte=id_at(self.since))
        if self.until is not None:
            bounds &= Q(id__lt=id_at(self.until + timedelta(milliseconds=1)))
        if self.statuses:
            bounds &= Q(status__in=self.statuses)
        if self.workflow_ids:
            bounds &= Q(workflow_id__in=self.workflow_ids)
        return bounds

    def _of_run(self) -> Q:
        of_run = self.metadata
        if self.parent_task_id is not None:
            of_run &= Q(parent_task_id=self.parent_task_id)
        if self.event_id is not None:
            of_run &= Q(event_id=self.event_id)
        if self.idempotency_keys:
            of_run &= Q(idempotency_key__in=self.idempotency_keys)
        return of_run
