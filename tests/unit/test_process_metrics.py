"""What happens in a process is counted for Prometheus, without a label that anybody else chooses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine import telemetry
from engine.ids import new_id
from engine.metrics import process
from engine.metrics.process import ProcessMetrics
from engine.states import Status, TenantMetric
from engine.store.figures import SUM, TotalKey
from tests.metrics import Samples, samples_of

TENANT = new_id()
DOCUMENTED = {
    "queue_invocations_total",
    "created_tasks_total",
    "retried_tasks_total",
    "succeeded_tasks_total",
    "failed_tasks_total",
    "skipped_tasks_total",
    "cancelled_tasks_total",
    "assigned_tasks_total",
    "scheduling_timed_out_total",
    "rate_limited_total",
    "queued_to_assigned_total",
    "queued_to_assigned_seconds_count",
    "reassigned_tasks_total",
}
"""The guide's table of global metrics, but for `hatchet_`."""


@pytest.fixture
def engine_metrics() -> Iterator[ProcessMetrics]:
    metrics = ProcessMetrics("engine")
    metrics.attach()
    yield metrics
    metrics.detach()


def values(metrics: ProcessMetrics) -> Samples:
    return samples_of(metrics.registry)


def test_documented_metrics_begin_at_nothing(engine_metrics: ProcessMetrics) -> None:
    found = values(engine_metrics)
    assert {name: found[f"hatchet_{name}",] for name in DOCUMENTED} == dict.fromkeys(DOCUMENTED, 0)


def test_what_was_counted_is_added_for_all_tenants_together(engine_metrics: ProcessMetrics) -> None:
    for tenant_id in (TENANT, new_id()):
        totals = {
            TotalKey(tenant_id, TenantMetric.CREATED): 2.0,
            TotalKey(tenant_id, TenantMetric.FIRST_ASSIGNED): 1.0,
            TotalKey(tenant_id, TenantMetric.QUEUE_SECONDS, bucket=0): 3.0,
            TotalKey(tenant_id, TenantMetric.QUEUE_SECONDS, bucket=16): 1.0,
            TotalKey(tenant_id, TenantMetric.QUEUE_SECONDS, bucket=SUM): 8000.0,
            TotalKey(tenant_id, TenantMetric.RUN_MILLISECONDS, new_id(), Status.FAILED, 3): 1.0,
        }
        telemetry.emit("figures.counted", {"behind_seconds": 16.0}, {"totals": totals})
    found = values(engine_metrics)
    assert found["hatchet_created_tasks_total",] == 4
    assert found["hatchet_queued_to_assigned_total",] == 2
    name = "hatchet_queued_to_assigned_seconds"
    assert found[f"{name}_bucket", "0.005"] == found[f"{name}_bucket", "7200.0"] == 6
    assert found[f"{name}_bucket", "+Inf"] == found[f"{name}_count",] == 8
    assert found[f"{name}_sum",] == 16_000
    assert found["hatchet_figures_behind_seconds",] == 16


def test_events_are_counted_and_measured(engine_metrics: ProcessMetrics) -> None:
    worker = {"tenant_id": TENANT, "worker_id": new_id()}
    telemetry.emit("worker.lost", {}, worker)
    telemetry.emit("race.lost", {}, {"what": "reports"})
    telemetry.emit("grpc.refused", {}, {"method": "m", "code": "NOT_FOUND", "message": "x"})
    telemetry.emit("rest.failed", {}, {"status": 503, "error": ValueError()})
    telemetry.emit("hint.sent", {"hints": 3, "live": 2})
    telemetry.emit(
        "batcher.flushed", {"rows": 7, "seconds": 0.004, "waiting": 9}, {"batcher": "reports"}
    )
    telemetry.emit("loop.tick", {"seconds": 0.5}, {"loop": "clock", "outcome": "done"})
    telemetry.emit("loop.tick", {"seconds": 0.5}, {"loop": "clock", "outcome": "KeyError"})
    telemetry.emit(
        "scheduler.decided", {"turns": 5, "assigned": 3, "cancelled": 1}, {"tenant_id": TENANT}
    )
    telemetry.emit("cron.fired", {"late_seconds": 0.2}, {"tenant_id": TENANT, "cron_id": new_id()})
    telemetry.emit("cron.missed", {"times": 4}, {"cron_id": new_id(), "cause": "late"})
    found = values(engine_metrics)
    expected = {
        ("workers_lost_total",): 1,
        ("races_lost_total", "reports"): 1,
        ("grpc_refused_total", "NOT_FOUND"): 1,
        ("rest_failed_total", "503"): 1,
        ("hints_sent_total", "engines"): 3,
        ("hints_sent_total", "dashboards"): 2,
        ("batch_rows_sum", "reports"): 7,
        ("batch_seconds_bucket", "reports", "0.005"): 1,
        ("batch_seconds_bucket", "reports", "0.0025"): 0,
        ("batch_waiting_rows", "reports"): 9,
        ("loop_tick_seconds_count", "clock"): 2,
        ("loop_failures_total", "clock"): 1,
        ("queue_invocations_total",): 5,
        ("scheduler_assigned_total",): 3,
        ("scheduler_cancelled_total",): 1,
        ("cron_late_seconds_bucket", "0.25"): 1,
        ("cron_missed_total", "late"): 4,
    }
    assert {key: found.get((f"hatchet_{key[0]}", *key[1:])) for key in expected} == expected


def test_operations_beyond_so_many_are_told_together(
    engine_metrics: ProcessMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "MOST_OPERATIONS", 2)
    for operation in ("a", "b", "c", "d", "a"):
        telemetry.emit(
            "database.operation",
            {"seconds": 0.01, "round_trips": 1, "statements": 1},
            {"operation": operation, "outcome": "rolled back", "error": "X"},
        )
    found = values(engine_metrics)
    name = "hatchet_database_operation_by_name_seconds_count"
    assert [found.get((name, each)) for each in ("a", "b", "c", "other")] == [2, 1, None, 2]
    assert found["hatchet_database_operation_seconds_count", "rolled_back"] == 5


def test_no_metric_of_a_process_has_a_label_of_tenants(engine_metrics: ProcessMetrics) -> None:
    labels = {
        label
        for family in engine_metrics.registry.collect()
        for sample in family.samples
        for label in sample.labels
    }
    assert not labels & {"tenant_id", "tenant", "workflow", "workflow_name", "worker", "worker_id"}


def test_a_web_process_tells_of_what_it_does() -> None:
    metrics = ProcessMetrics("web")
    found = values(metrics)
    assert found["hatchet_process_info", "web", "v0.111.0"] == 1
    assert ("hatchet_created_tasks_total",) not in found
    assert not telemetry.is_heard("figures.counted")


def test_what_is_detached_hears_nothing(engine_metrics: ProcessMetrics) -> None:
    assert telemetry.is_heard("batcher.flushed")
    engine_metrics.detach()
    assert not telemetry.is_heard("batcher.flushed", "database.operation")
