"""What monitoring systems are told of a tenant: totals since its beginning, and the slots of its workers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.http import HttpResponse
from rest_framework.request import Request

from engine.api.exposition import CONTENT_TYPE, Family, Labels, exposition
from engine.api.views import EngineView
from engine.domain.histogram import SCRAPED_SECONDS
from engine.metrics.tasks import TASKS
from engine.models.names import load_names
from engine.models.slot_queries import used_slots
from engine.models.worker_queries import HEARTBEAT_IS_STALE_AFTER
from engine.states import Status, TenantMetric
from engine.store import figures, sync_db
from engine.store.figures import NO_WORKFLOW, SUM, Total

LONGEST_LABEL = 100
OTHERS = "other"
"""What the workflows are called that are not told apart."""

_TOTALS = {
    TenantMetric.CREATED,
    TenantMetric.RETRIED,
    TenantMetric.SUCCEEDED,
    TenantMetric.FAILED,
    TenantMetric.SKIPPED,
    TenantMetric.CANCELLED,
}
"""Those that the guide's names of a tenant's metrics call totals."""
_COUNTERS = {
    TenantMetric.QUEUE_INVOCATIONS: (
        "queue_invocations_total",
        "How often the tenant's queues were gone through.",
    ),
    **{
        metric: (f"{name}_total" if metric in _TOTALS else name, words)
        for metric, (name, words) in TASKS.items()
    },
}


class PrometheusView(EngineView):
    """The tenant's metrics in Prometheus' text format; what happened is counted some 20 seconds later."""

    def get(self, request: Request, **_: Any) -> HttpResponse:
        return HttpResponse(exposition(families_of(self.tenant.id)), content_type=CONTENT_TYPE)


def families_of(tenant_id: UUID) -> list[Family]:
    """Return all metrics of a tenant, also those of which nothing was counted."""
    tenant = (("tenant_id", str(tenant_id)),)
    rows = sync_db.read(figures.totals(tenant_id))
    return [
        *_counters(rows, tenant),
        _queue_times(rows, tenant),
        _run_times(rows, tenant),
        *_slots(tenant_id, tenant),
    ]


def _counters(rows: Sequence[Total], tenant: Labels) -> list[Family]:
    values = {row.metric: row.value for row in rows}
    families = []
    for metric, (name, about) in _COUNTERS.items():
        family = Family(f"hatchet_tenant_{name}", "counter", about)
        family.add(values.get(metric, 0.0), tenant)
        families.append(family)
    return families


class _Histogram(NamedTuple):
    counts: Mapping[int, float]
    total: float


def _histogram(rows: Sequence[Total]) -> _Histogram:
    counts = {row.bucket: row.value for row in rows if row.bucket != SUM}
    return _Histogram(counts, sum(row.value for row in rows if row.bucket == SUM))


def _queue_times(rows: Sequence[Total], tenant: Labels) -> Family:
    family = Family(
        "hatchet_tenant_queued_to_assigned_time_seconds",
        "histogram",
        "How long attempts waited for a worker.",
    )
    found = _histogram([row for row in rows if row.metric == TenantMetric.QUEUE_SECONDS])
    family.observe(SCRAPED_SECONDS, found.counts, found.total, tenant)
    return family


def _run_times(rows: Sequence[Total], tenant: Labels) -> Family:
    family = Family(
        "hatchet_tenant_workflow_duration_milliseconds",
        "histogram",
        "How long runs took from their start to their end.",
    )
    by_kind: dict[tuple[UUID, int], list[Total]] = defaultdict(list)
    for row in rows:
        if row.metric == TenantMetric.RUN_MILLISECONDS:
            by_kind[row.workflow_id, row.status].append(row)
    names = load_names({workflow_id for workflow_id, _ in by_kind} - {NO_WORKFLOW}, []).workflows
    bounds = [seconds * 1000 for seconds in SCRAPED_SECONDS]
    for (workflow_id, status), some in by_kind.items():
        name = names.get(workflow_id, OTHERS)[:LONGEST_LABEL]
        labels = (*tenant, ("workflow_name", name), ("status", Status(status).name))
        found = _histogram(some)
        family.observe(bounds, found.counts, found.total, labels)
    return family


def _slots(tenant_id: UUID, tenant: Labels) -> list[Family]:
    workers = sync_db.read(figures.slots(tenant_id, datetime.now(UTC) - HEARTBEAT_IS_STALE_AFTER))
    offered = {worker.id: worker.slots for worker in workers}
    used = {
        worker_id: min(offered[worker_id], sum(by_kind.values()))
        for worker_id, by_kind in used_slots(list(offered)).items()
    }
    total, taken = sum(offered.values()), sum(used.values())
    told = {
        "used_worker_slots": (taken, "Slots of connected workers that are in use."),
        "available_worker_slots": (total - taken, "Slots of connected workers that are free."),
        "worker_slots": (total, "Slots of connected workers."),
    }
    families = []
    for name, (value, about) in told.items():
        family = Family(f"hatchet_tenant_{name}", "gauge", about)
        family.add(float(value), tenant)
        families.append(family)
    return families
