"""Which runs or tasks a list is about, as its query string says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from uuid import UUID

from django.db.models import Q, QuerySet

from engine.domain.clock_skew import upper_bound
from engine.models import Run, Task
from engine.models.durable_queries import IS_OFF_WORKER, runs_off_worker
from engine.models.run_selection import selected_runs, selected_tasks
from engine.states import Status
from engine.types import RunFilter
from tenants.rest import in_query
from tenants.rest.errors import bad_request


class RunningFilter(Enum):
    ALL = "ALL"
    EVICTED = "EVICTED"
    ON_WORKER = "ON_WORKER"


class MetadataOperator(Enum):
    OR = "OR"
    AND = "AND"


@dataclass(frozen=True, slots=True)
class RunSelection:
    """`running_filter` splits the running ones and leaves others alone."""

    since: datetime = in_query.required_moment("since")
    until: datetime | None = in_query.moment("until")
    statuses: list[Status] = in_query.members("statuses", Status)
    running_filter: RunningFilter = in_query.member(
        "running_filter", RunningFilter, RunningFilter.ALL
    )
    workflow_ids: list[UUID] = in_query.uuids("workflow_ids")
    metadata: list[tuple[str, str]] = in_query.pairs("additional_metadata")
    metadata_operator: MetadataOperator = in_query.member(
        "additional_metadata_operator", MetadataOperator, MetadataOperator.OR
    )
    parent_task_id: UUID | None = in_query.uuid("parent_task_external_id")
    event_id: UUID | None = in_query.uuid("triggering_event_external_id")
    idempotency_keys: list[str] = in_query.texts("idempotency_keys")
    worker_id: UUID | None = in_query.uuid("worker_id")

    @property
    def run_filter(self) -> RunFilter:
        return RunFilter(
            since=self.since,
            until=upper_bound(self.until, datetime.now(UTC)),
            statuses=tuple(self.statuses),
            workflow_ids=tuple(self.workflow_ids),
            additional_metadata=tuple(self.metadata),
            needs_every_pair=self.metadata_operator is MetadataOperator.AND,
        )

    @property
    def is_told_by_tally(self) -> bool:
        """Whether nothing but time and workflows narrows it."""
        is_narrowed = self.statuses or self.metadata or self._of_run() or self.worker_id
        return not is_narrowed and self.running_filter is RunningFilter.ALL

    def runs(self, tenant_id: UUID) -> QuerySet[Run]:
        """Select runs, newest first."""
        if self.worker_id is not None:
            raise bad_request("worker_id needs only_tasks=true", field="worker_id")
        runs = selected_runs(tenant_id, self.run_filter, self._of_run())
        if self.running_filter is not RunningFilter.ALL:
            runs = runs.filter(self._among_running(runs_off_worker()))
        return runs.order_by("-id")

    def evicted_runs(self, tenant_id: UUID) -> QuerySet[Run]:
        """Select the running ones of the runs all of whose unfinished tasks are evicted."""
        evicted = replace(self, running_filter=RunningFilter.EVICTED, statuses=[Status.RUNNING])
        return evicted.runs(tenant_id)

    def tasks(self, tenant_id: UUID) -> QuerySet[Task]:
        """Select tasks, newest first."""
        tasks = selected_tasks(tenant_id, self.run_filter, self._of_run())
        tasks = tasks.filter(self._among_running(IS_OFF_WORKER))
        if self.worker_id is not None:
            tasks = tasks.filter(worker_id=self.worker_id)
        return tasks.order_by("-id")

    def _among_running(self, away: Q) -> Q:
        """What the running must be besides; `away` holds for those that are evicted."""
        if self.running_filter is RunningFilter.ALL:
            return Q()
        wanted = away if self.running_filter is RunningFilter.EVICTED else ~away
        return ~Q(status=Status.RUNNING) | wanted

    def _of_run(self) -> Q:
        of_run = Q()
        if self.parent_task_id is not None:
            of_run &= Q(parent_task_id=self.parent_task_id)
        if self.event_id is not None:
            of_run &= Q(event_id=self.event_id)
        if self.idempotency_keys:
            of_run &= Q(idempotency_key__in=self.idempotency_keys)
        return of_run
