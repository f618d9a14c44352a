"""What the event log says is counted once: totals of tenants, and how long things took by workflow and version."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from engine.domain.histogram import percentiles
from engine.ids import new_id
from engine.models import FiguresPosition, TenantTotal, Workflow, WorkflowTiming
from engine.operations import count_events as counting
from engine.operations.count_events import clean_figures, count_events
from engine.states import Status, TenantMetric, Timed
from engine.store import figures, sync_db
from engine.store.figures import NO_WORKFLOW
from engine.types import TriggerRequest
from tests.operations.bench import START, Bench, on_failure, step
from tests.operations.counted import begin_counting, count_on, observed, totals_of


@pytest.fixture(autouse=True)
def _begun(db: None) -> None:
    begin_counting()


def timing(bench: Bench, timed: Timed) -> dict[int, int]:
    """How many are in each bucket, of all versions of the tenant."""
    counts: dict[int, int] = {}
    for row in WorkflowTiming.objects.filter(tenant_id=bench.tenant_id, timed=timed):
        for bucket, count in zip(row.buckets, row.counts, strict=True):
            counts[bucket] = counts.get(bucket, 0) + count
    return counts


def test_a_run_is_counted_from_its_creation_to_its_end(bench: Bench) -> None:
    run_id = bench.start()
    bench.pass_time(2)
    bench.assign(run_id)
    bench.report(bench.started(run_id))
    bench.pass_time(10)
    bench.report(bench.completed(run_id))
    count_on()
    assert totals_of(bench.tenant_id) == {
        "CREATED": 1,
        "ASSIGNED": 1,
        "FIRST_ASSIGNED": 1,
        "SUCCEEDED": 1,
    }
    assert observed(bench.tenant_id, TenantMetric.QUEUE_SECONDS) == (1, 2.0)
    assert observed(bench.tenant_id, TenantMetric.RUN_MILLISECONDS) == (1, 10_000.0)
    assert percentiles(timing(bench, Timed.QUEUE), [0.5]) == [pytest.approx(2, rel=0.05)]
    assert percentiles(timing(bench, Timed.RUN), [0.5]) == [pytest.approx(10, rel=0.05)]


def test_a_retried_failure_is_no_failure_and_each_attempt_waits_by_itself(bench: Bench) -> None:
    run_id = bench.start(step("work", retries=1))
    for _attempt in (0, 1):
        bench.pass_time(3)
        bench.assign(run_id)
        bench.report(bench.failed(run_id))
        count_on()
    count = totals_of(bench.tenant_id)
    assert (count["RETRIED"], count["FAILED"], count["CREATED"]) == (1, 1, 1)
    assert (count["ASSIGNED"], count["FIRST_ASSIGNED"]) == (2, 1)
    assert observed(bench.tenant_id, TenantMetric.QUEUE_SECONDS) == (2, 6.0)
    assert observed(bench.tenant_id, TenantMetric.RUN_MILLISECONDS)[0] == 1


def test_a_graph_ends_once_and_its_tasks_are_counted_each(bench: Bench) -> None:
    run_id = bench.start(step("a"), step("b", "a"), step("c", "a"), on_failure())
    bench.run_to_end(bench.steps(run_id)["a"])
    bench.run_to_end(bench.steps(run_id)["b"])
    bench.pass_time(5)
    count_on()
    assert observed(bench.tenant_id, TenantMetric.RUN_MILLISECONDS)[0] == 0
    bench.run_to_end(bench.steps(run_id)["c"])
    count_on()
    assert bench.status(run_id) is Status.COMPLETED
    assert observed(bench.tenant_id, TenantMetric.RUN_MILLISECONDS) == (1, 5_000.0)
    assert totals_of(bench.tenant_id)["SUCCEEDED"] == 3
    assert totals_of(bench.tenant_id)["SKIPPED"] == 1


def test_what_ended_without_having_run_has_no_time(bench: Bench) -> None:
    bench.put()
    one, other = bench.trigger(*[TriggerRequest("flow")] * 2)
    bench.cancel(one)
    bench.expire(after_seconds=301)
    count_on()
    count = totals_of(bench.tenant_id)
    assert (count["CANCELLED"], count["SCHEDULING_TIMED_OUT"]) == (1, 1)
    assert bench.status(other) is Status.CANCELLED
    assert observed(bench.tenant_id, TenantMetric.RUN_MILLISECONDS) == (0, 0)


def test_nothing_is_counted_twice_or_left_out_between_two_turns(bench: Bench) -> None:
    bench.put()
    for _ in range(5):
        bench.run_to_end(*bench.trigger(*[TriggerRequest("flow")] * 3))
        count_on()
        count_on()
    assert totals_of(bench.tenant_id)["SUCCEEDED"] == 15
    assert sum(timing(bench, Timed.RUN).values()) == 15
    assert sum(timing(bench, Timed.QUEUE).values()) == 15


def test_a_turn_is_within_a_minute_and_ends_where_things_are_settled(bench: Bench) -> None:
    begin = datetime(2026, 1, 1, 12, 0, 40, tzinfo=UTC)
    FiguresPosition.objects.update(counted_until=begin)
    settled = begin + timedelta(seconds=50)
    ends = []
    for _ in range(2):
        counted = sync_db.run(count_events(settled, at_least=timedelta(seconds=5)))
        assert counted is not None
        ends.append((counted.until - begin, counted.is_behind))
    assert ends == [(timedelta(seconds=20), True), (timedelta(seconds=50), False)]
    assert sync_db.run(count_events(settled, at_least=timedelta(seconds=5))) is None


@pytest.fixture
def writing(conninfo: str) -> Iterator[None]:
    """Another transaction that has written something and goes on."""
    import psycopg

    with psycopg.connect(conninfo) as other:
        other.execute("SELECT pg_current_xact_id()")
        yield
        other.rollback()


def test_what_an_open_transaction_may_still_bring_is_waited_for(
    bench: Bench, writing: None
) -> None:
    since = datetime.now(UTC)
    count_on()
    bench.run_to_end(bench.start())
    count_on()
    assert totals_of(bench.tenant_id) == {}
    assert FiguresPosition.objects.get().counted_until < since


def test_workflows_beyond_so_many_have_one_total(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "WORKFLOWS_TOLD_APART", 2)
    for name in "abcd":
        bench.put(name=name)
        bench.run_to_end(*bench.trigger(TriggerRequest(name)))
        count_on()
    bench.run_to_end(*bench.trigger(TriggerRequest("a"), TriggerRequest("d")))
    count_on()
    told = TenantTotal.objects.filter(
        tenant_id=bench.tenant_id, metric=TenantMetric.RUN_MILLISECONDS
    ).exclude(bucket=figures.SUM)
    names = dict(Workflow.objects.filter(tenant_id=bench.tenant_id).values_list("id", "name"))
    names[NO_WORKFLOW] = "other"
    assert {names[row.workflow_id] for row in told} == {"a", "b", "other"}


def test_a_deleted_workflow_makes_room_for_another(bench: Bench) -> None:
    bench.run_to_end(bench.start())
    count_on()
    Workflow.objects.filter(tenant_id=bench.tenant_id).update(deleted_at=START)
    clean(START)
    assert not TenantTotal.objects.filter(
        tenant_id=bench.tenant_id, metric=TenantMetric.RUN_MILLISECONDS
    ).exists()
    assert totals_of(bench.tenant_id)["SUCCEEDED"] == 1


def clean(kept_since: datetime) -> None:
    merged_before = datetime.now(UTC) + timedelta(days=1)
    while sync_db.run(clean_figures(merged_before, kept_since, 1000)):
        pass


def test_minutes_become_hours_and_hours_end(bench: Bench) -> None:
    FiguresPosition.objects.update(counted_until=START + timedelta(hours=2, minutes=5))
    version_id, workflow_id = new_id(), new_id()
    for minutes in (0, 1, 59, 60, 125):
        WorkflowTiming.objects.create(
            tenant_id=bench.tenant_id,
            since=START + timedelta(minutes=minutes),
            is_hour=False,
            version_id=version_id,
            timed=Timed.RUN,
            workflow_id=workflow_id,
            buckets=[3, 7],
            counts=[1, 2],
            total_seconds=1.5,
        )
    clean(START - timedelta(days=1))
    rows = WorkflowTiming.objects.filter(tenant_id=bench.tenant_id).order_by("since")
    assert [
        ((row.since - START) / timedelta(minutes=1), row.is_hour, row.buckets, row.counts)
        for row in rows
    ] == [
        (0, True, [3, 7], [3, 6]),
        (60, True, [3, 7], [1, 2]),
        (125, False, [3, 7], [1, 2]),
    ]
    assert [row.total_seconds for row in rows] == [4.5, 1.5, 1.5]
    clean(START + timedelta(hours=1))
    assert [(row.since - START) / timedelta(minutes=1) for row in rows.all()] == [60, 125]


def test_another_tenants_events_are_its_own(bench: Bench) -> None:
    other = Bench()
    bench.run_to_end(bench.start())
    other.run_to_failure(other.start())
    count_on()
    assert "FAILED" not in totals_of(bench.tenant_id)
    assert "SUCCEEDED" not in totals_of(other.tenant_id)


def test_events_of_a_run_that_is_gone_are_passed_over(bench: Bench) -> None:
    run_id = bench.start()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM engine_run WHERE id = %s", [run_id])
    count_on()
    assert totals_of(bench.tenant_id) == {}
