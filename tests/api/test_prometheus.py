"""What monitoring systems are told of a tenant is in Prometheus' format, and bounded."""

from __future__ import annotations

from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine.api.exposition import Family, exposition
from engine.domain.histogram import SCRAPED_SECONDS
from engine.models import Task, TenantTotal
from engine.states import Status, TenantMetric
from engine.store.figures import SUM
from tests.api.client import ApiClient
from tests.api.factories import (
    begin,
    complete,
    fail,
    make_worker,
    make_workflow,
    now,
    start_run,
    tasks_of,
)
from tests.cast import Cast
from tests.operations.counted import begin_counting, count_on

DOCUMENTED = {
    "workflow_duration_milliseconds": "histogram",
    "queue_invocations_total": "counter",
    "created_tasks_total": "counter",
    "retried_tasks_total": "counter",
    "succeeded_tasks_total": "counter",
    "failed_tasks_total": "counter",
    "skipped_tasks_total": "counter",
    "cancelled_tasks_total": "counter",
    "assigned_tasks": "counter",
    "scheduling_timed_out": "counter",
    "rate_limited": "counter",
    "queued_to_assigned": "counter",
    "queued_to_assigned_time_seconds": "histogram",
    "reassigned_tasks": "counter",
    "used_worker_slots": "gauge",
    "available_worker_slots": "gauge",
    "worker_slots": "gauge",
}
"""The guide's table of tenant metrics; before each name stands `hatchet_tenant_`."""


@pytest.fixture
def path(cast: Cast) -> str:
    return f"/api/v1/tenants/{cast.tenant.id}/prometheus-metrics"


def scraped(api: ApiClient, path: str) -> dict[tuple[str, ...], float]:
    """Values by the name of the sample, then its labels but for the tenant."""
    answer = api.get(path)
    assert answer.status == 200
    return {
        (sample.name, *(v for name, v in sorted(sample.labels.items()) if name != "tenant_id")): (
            sample.value
        )
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def test_every_documented_metric_is_there_before_anything_happens(
    cast: Cast, api: ApiClient, path: str
) -> None:
    answer = api.get(path, Accept="text/plain;version=0.0.4;q=1,*/*;q=0.1")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.content.decode().splitlines()
    assert {line for line in lines if line.startswith("# TYPE")} == {
        f"# TYPE hatchet_tenant_{name} {kind}" for name, kind in DOCUMENTED.items()
    }
    values = scraped(api, path)
    assert values["hatchet_tenant_created_tasks_total",] == 0
    assert f'hatchet_tenant_assigned_tasks{{tenant_id="{cast.tenant.id}"}} 0' in lines
    assert all(f'tenant_id="{cast.tenant.id}"' in line for line in lines if "{" in line)


def test_what_happened_is_told(cast: Cast, api: ApiClient, path: str) -> None:
    begin_counting()
    make_workflow(cast.tenant)
    complete(tasks_of(start_run(cast.tenant))[0], {})
    fail(tasks_of(start_run(cast.tenant))[0], "no", should_not_retry=True)
    make_workflow(cast.other_tenant)
    start_run(cast.other_tenant)
    count_on()
    values = scraped(api, path)
    assert values["hatchet_tenant_created_tasks_total",] == 2
    assert values["hatchet_tenant_succeeded_tasks_total",] == 1
    assert values["hatchet_tenant_failed_tasks_total",] == 1
    name = "hatchet_tenant_workflow_duration_milliseconds"
    for status in ("COMPLETED", "FAILED"):
        assert values[f"{name}_count", status, "greet"] == 1
        assert values[f"{name}_bucket", "+Inf", status, "greet"] == 1


def test_buckets_hold_what_is_at_or_below_their_bound(
    cast: Cast, api: ApiClient, path: str
) -> None:
    for bucket, value in {0: 1, 3: 2, len(SCRAPED_SECONDS): 4, SUM: 12.5}.items():
        TenantTotal.objects.create(
            tenant_id=cast.tenant.id,
            metric=TenantMetric.QUEUE_SECONDS,
            workflow_id="0" * 32,
            status=0,
            bucket=bucket,
            value=value,
        )
    values = scraped(api, path)
    name = "hatchet_tenant_queued_to_assigned_time_seconds"
    found = [values[f"{name}_bucket", le] for le in ("0.005", "0.025", "0.05", "7200", "+Inf")]
    assert found == [1, 1, 3, 3, 7]
    assert (values[f"{name}_count",], values[f"{name}_sum",]) == (7, 12.5)


def test_slots_are_those_of_workers_that_are_there(cast: Cast, api: ApiClient, path: str) -> None:
    make_workflow(cast.tenant)
    worker = make_worker(cast.tenant, slots={"default": 10, "durable": 5})
    make_worker(cast.tenant, last_heartbeat_at=now() - timedelta(minutes=1))
    make_worker(cast.tenant, is_active=False)
    make_worker(cast.other_tenant)
    for _ in range(3):
        begin(tasks_of(start_run(cast.tenant))[0], worker)
    values = scraped(api, path)
    assert [
        values[f"hatchet_tenant_{name}",]
        for name in ("worker_slots", "used_worker_slots", "available_worker_slots")
    ] == [15, 3, 12]
    assert Task.objects.filter(status=Status.RUNNING).count() == 3


def test_a_name_can_neither_break_the_text_nor_swell_it(
    cast: Cast, api: ApiClient, path: str
) -> None:
    evil = 'a"} 1\n# TYPE evil counter\\'
    long = "x" * 200
    begin_counting()
    for name in (evil, f"{long}1", f"{long}2"):
        make_workflow(cast.tenant, name)
        complete(tasks_of(start_run(cast.tenant, name))[0], {})
    count_on()
    values = scraped(api, path)
    name = "hatchet_tenant_workflow_duration_milliseconds_count"
    assert values[name, "COMPLETED", evil] == 1
    assert values[name, "COMPLETED", "x" * 100] == 2
    assert not any(sample[0] == "evil" for sample in values)


def test_a_tenant_of_others_is_not_told_of(cast: Cast, api: ApiClient) -> None:
    path = f"/api/v1/tenants/{cast.other_tenant.id}/prometheus-metrics"
    assert api.get(path).status == 403
    assert api.get("/api/v1/tenants/nonsense/prometheus-metrics").status == 400
    assert ApiClient().get(path).status == 403


@pytest.mark.parametrize(
    ("value", "text"), [(3.0, "3"), (0.5, "0.5"), (2.0**60, str(2**60)), (1e-9, "1e-09")]
)
def test_numbers_are_written_as_they_are(value: float, text: str) -> None:
    family = Family("a", "gauge", "b")
    family.add(value)
    assert exposition([family]).endswith(f"a{{}} {text}\n")
