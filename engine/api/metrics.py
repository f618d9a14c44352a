"""Numbers about a tenant's runs and queues."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.run_selection import RunSelection
from engine.api.spans import buckets_between
from engine.api.views import EngineView
from engine.models.metric_queries import (
    count_by_status,
    exact_status_counts,
    outcomes_by_bucket,
    queued_by_action,
)
from engine.states import Status
from tenants.rest import in_query
from tenants.rest.accepted import takes_query
from tenants.rest.errors import AnyDict
from tenants.rest.render import timestamp

_ORDER = (Status.CANCELLED, Status.COMPLETED, Status.FAILED, Status.QUEUED, Status.RUNNING)


class TaskMetricsView(EngineView):
    """Runs by status; from the tally unless a filter needs the rows themselves."""

    @takes_query(RunSelection)
    def get(self, request: Request, selection: RunSelection, **_: Any) -> Response:
        tenant_id = self.tenant.id
        if selection.is_told_by_tally:
            bounds = selection.run_filter
            counts = exact_status_counts(
                tenant_id,
                since=selection.since,
                until=bounds.until,
                workflow_ids=bounds.workflow_ids,
            )
        else:
            counts = count_by_status(selection.runs(tenant_id))
        running = max(0, counts.get(Status.RUNNING, 0))
        evicted = min(running, selection.evicted_runs(tenant_id).count()) if running else 0
        return Response(
            [_metric(status, max(0, counts.get(status, 0)), evicted) for status in _ORDER]
        )


def _metric(status: Status, count: int, evicted: int) -> AnyDict:
    metric: AnyDict = {"status": status.name, "count": count}
    if status is Status.RUNNING:
        metric["runningDetailCount"] = {"evicted": evicted, "onWorker": count - evicted}
    return metric


@dataclass(frozen=True, slots=True)
class Span:
    until: datetime | None = in_query.moment("finishedBefore")
    since: datetime | None = in_query.moment("createdAfter")


class TaskPointMetricsView(EngineView):
    """Succeeded and failed runs by the time they were created, empty buckets included."""

    @takes_query(Span)
    def get(self, request: Request, span: Span, **_: Any) -> Response:
        buckets = buckets_between(span.since, span.until, names=("createdAfter", "finishedBefore"))
        counts = outcomes_by_bucket(self.tenant.id, buckets.start, buckets.until, buckets.width)
        results = [
            {
                "time": timestamp(at),
                "SUCCEEDED": max(0, counts.get((at, Status.COMPLETED), 0)),
                "FAILED": max(0, counts.get((at, Status.FAILED), 0)),
            }
            for at in buckets.times()
        ]
        return Response({"results": results})


class QueueMetricsView(EngineView):
    def get(self, request: Request, **_: Any) -> Response:
        return Response({"queues": queued_by_action(self.tenant.id)})
