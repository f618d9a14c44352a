"""What is old goes: whole days where nobody needs them, single rows elsewhere, and nothing that is alive."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection

from engine.domain.definition import Idempotency
from engine.errors import InvalidArgument, NotFound
from engine.ids import new_id, time_of
from engine.models import (
    ChildLink,
    Event,
    IdempotencyKey,
    LogLine,
    Payload,
    Run,
    RunTally,
    Schedule,
    Span,
    Task,
    TaskEvent,
    Worker,
    WorkflowVersion,
)
from engine.operations.push_events import push_events
from engine.operations.retention.choose import choose_period, forget_period
from engine.operations.timetable.change_schedules import schedule_runs
from engine.operations.timetable.fire_schedules import fire_schedules
from engine.retention_config import RetentionConfig
from engine.states import IdempotencyMethod, Status
from engine.store import sync_db
from engine.types import EventInput, TriggerRequest
from tenants.models import RetentionPeriod
from tests.operations.bench import Bench, step
from tests.operations.days import Days, clear

MONTH = 32
"""Days after which everything is older than it is kept, whatever the time of the day."""


@pytest.fixture
def days(db: None, monkeypatch: pytest.MonkeyPatch) -> Days:
    return Days(monkeypatch)


@pytest.fixture
def bench(days: Days) -> Bench:
    bench = Bench()
    bench.now = days.begin()
    bench.put()
    return bench


def go_on(bench: Bench, days: Days, count: float) -> None:
    bench.now = days.begin(count)


def finished(bench: Bench, *requests: TriggerRequest) -> UUID:
    (run_id,) = bench.trigger(*requests)
    bench.run_to_end(run_id)
    return run_id


def log_line(bench: Bench, run_id: UUID) -> UUID:
    known = {"task_id": run_id, "retry_count": 0, "level": 1, "created_at": bench.now}
    line = LogLine(id=new_id(), run_id=run_id, tenant_id=bench.tenant_id, message="a", **known)
    line.save(force_insert=True)
    return line.id


def span(bench: Bench, run_id: UUID | None) -> UUID:
    texts = dict.fromkeys(("name", "status_message", "service_name"), "a")
    texts |= dict.fromkeys(("scope_name", "scope_version"), "a")
    texts |= dict.fromkeys(("resource_attributes", "attributes", "events"), "{}")
    numbers = dict.fromkeys(("retry_count", "span_id", "kind", "status", "duration_ns"), 0)
    made = Span(id=new_id(), tenant_id=bench.tenant_id, run_id=run_id, trace_id=new_id())
    for name, value in (texts | numbers | {"started_at": bench.now}).items():
        setattr(made, name, value)
    made.save(force_insert=True)
    return made.id


def choose(bench: Bench, kind: str, text: str) -> None:
    sync_db.run(choose_period(bench.tenant_id, kind, text))


def push(bench: Bench, key: str = "order") -> UUID:
    (record,) = sync_db.run(push_events(bench.tenant_id, [EventInput(key, b"{}")], bench.now))
    return record.event_id


def child_of(parent: UUID, name: str = "flow") -> TriggerRequest:
    return TriggerRequest(name, parent_run_id=parent, parent_task_id=parent, child_index=0)


def test_a_day_goes_as_a_whole(bench: Bench, days: Days) -> None:
    old = finished(bench)
    log_line(bench, old)
    push(bench)
    bench.put(step("one"), step("two", "one"), name="dag")
    bench.cancel(*bench.trigger(TriggerRequest("dag")))
    go_on(bench, days, MONTH)
    young = finished(bench)
    kept = Payload.objects.filter(owner_id=young).count()
    did = clear(bench.now)
    assert {
        name: count for name, count in did.items() if name.startswith("engine_")
    } == dict.fromkeys(
        (
            *("engine_run", "engine_taskevent", "engine_durabletask", "engine_event"),
            *("engine_logline", "engine_payload", "engine_span"),
        ),
        1,
    )
    assert [run.id for run in Run.objects.all()] == [young]
    assert [task.id for task in Task.objects.all()] == [young]
    assert not Event.objects.exists()
    assert not LogLine.objects.exists()
    assert Payload.objects.count() == kept > 0
    assert days.of("engine_run") == days.of("engine_payload") == [f"{days.now:%Y%m%d}"]


def test_nothing_goes_before_its_time(bench: Bench, days: Days) -> None:
    """A day that is not over for as long is kept whole, to the hour before."""
    run_id = finished(bench)
    assert not clear(bench.now + timedelta(days=30))
    assert Run.objects.filter(id=run_id).exists()
    assert clear(bench.now + timedelta(days=31))["engine_run"] == 1


def test_nothing_goes_where_it_is_switched_off_by_a_long_time(bench: Bench, days: Days) -> None:
    finished(bench)
    assert not clear(
        bench.now + timedelta(days=365), RetentionConfig(period=timedelta(days=36_500))
    )


def test_a_live_run_keeps_its_day_and_nothing_else(bench: Bench, days: Days) -> None:
    (live,) = bench.trigger()
    line = log_line(bench, live)
    over = [finished(bench) for _ in range(3)]
    for run_id in over:
        log_line(bench, run_id)
    go_on(bench, days, MONTH)
    late = log_line(bench, live)
    assert clear(bench.now, limit=2)["runs"] >= 3
    assert [run.id for run in Run.objects.all()] == [live]
    assert not Task.objects.filter(id__in=over).exists()
    assert not TaskEvent.objects.filter(run_id__in=over).exists()
    assert not Payload.objects.filter(owner_id__in=over).exists()
    assert {one.id for one in LogLine.objects.all()} == {line, late}
    assert Payload.objects.filter(owner_id=live).exists()
    go_on(bench, days, MONTH)
    assert clear(bench.now)["runs"] == 0
    assert {one.id for one in LogLine.objects.all()} == {line, late}
    bench.run_to_end(live)
    clear(bench.now)
    assert not Run.objects.exists()
    assert days.of("engine_run") == days.of("engine_taskevent") == [f"{days.now:%Y%m%d}"]


def test_what_a_live_run_needs_stays(bench: Bench, days: Days) -> None:
    """Its children that are over, whose results it may ask for again, and the run that started it."""
    (parent,) = bench.trigger()
    bench.assign(parent)
    child = finished(bench, child_of(parent))
    grandchild = finished(bench, child_of(child))
    alone = finished(bench)
    ended = finished(bench)
    (living,) = bench.trigger(child_of(ended))
    go_on(bench, days, MONTH)
    clear(bench.now, limit=1)
    left = set(Run.objects.values_list("id", flat=True))
    assert left == {parent, child, ended, living}
    assert {alone, grandchild} & left == set()
    assert ChildLink.objects.filter(parent_task_id=parent).exists()
    bench.run_to_end(living)
    bench.report(bench.completed(parent))
    clear(bench.now)
    assert not Run.objects.exists()
    assert not ChildLink.objects.exists()


def test_parents_and_children_of_other_days_keep_their_day(bench: Bench, days: Days) -> None:
    (parent,) = bench.trigger()
    bench.assign(parent)
    go_on(bench, days, 2)
    child = finished(bench, child_of(parent))
    ended = finished(bench)
    go_on(bench, days, 2)
    (living,) = bench.trigger(child_of(ended))
    go_on(bench, days, MONTH)
    clear(bench.now)
    assert set(Run.objects.values_list("id", flat=True)) == {parent, child, ended, living}


def test_steps_of_a_live_graph_are_needed(bench: Bench, days: Days) -> None:
    bench.put(step("one"), step("two", "one"), name="dag")
    (graph,) = bench.trigger(TriggerRequest("dag"))
    bench.run_to_end(bench.steps(graph)["one"])
    go_on(bench, days, MONTH)
    clear(bench.now)
    bench.run_to_end(bench.steps(graph)["two"])
    assert bench.status(graph) == Status.COMPLETED


def test_tenants_keep_things_for_times_of_their_own(bench: Bench, days: Days) -> None:
    other = Bench()
    other.now = bench.now
    other.put()
    choose(bench, "runs", "48h")
    choose(bench, "logs", "60d")
    mine, foreign = finished(bench), finished(other)
    line = log_line(bench, mine)
    log_line(other, foreign)
    go_on(bench, days, 5)
    assert clear(bench.now)["runs"] >= 1
    assert [run.id for run in Run.objects.all()] == [foreign]
    go_on(bench, days, MONTH)
    did = clear(bench.now)
    assert did["engine_run"] >= 1
    assert not Run.objects.exists()
    assert not LogLine.objects.filter(tenant_id=other.tenant_id).exists()
    assert not LogLine.objects.filter(id=line).exists(), "lines go with their run"


def test_a_period_that_is_shortened_spares_a_sleeping_run(bench: Bench, days: Days) -> None:
    (sleeping,) = bench.trigger()
    finished(bench)
    go_on(bench, days, 10)
    assert not clear(bench.now)
    choose(bench, "runs", "24h")
    clear(bench.now)
    assert [run.id for run in Run.objects.all()] == [sleeping]
    bench.run_to_end(sleeping)
    assert bench.status(sleeping) == Status.COMPLETED


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "0s",
        "0d",
        "23h",
        "-720h",
        "",
        "36501d",
        "9" * 90 + "h",
        "9" * 5000 + "h",
        "a",
        "720",
        "1h\0",
    ],
)
def test_periods_that_cannot_be(bench: Bench, text: str) -> None:
    with pytest.raises(InvalidArgument, match="period"):
        choose(bench, "runs", text)
    assert not RetentionPeriod.objects.exists()


def test_kinds_there_are_not(bench: Bench) -> None:
    for kind in ("payloads", "event origins", "audit", "a\0b", ""):
        with pytest.raises(NotFound):
            choose(bench, kind, "720h")
        with pytest.raises(NotFound):
            sync_db.run(forget_period(bench.tenant_id, kind))


def test_an_event_stays_for_the_run_it_started(bench: Bench, days: Days) -> None:
    bench.put(name="told", event_triggers=("order",))
    needed, other = push(bench), push(bench, "nothing")
    go_on(bench, days, MONTH)
    clear(bench.now)
    assert [event.id for event in Event.objects.all()] == [needed]
    assert Payload.objects.filter(owner_id=needed).exists()
    assert not Payload.objects.filter(owner_id=other).exists()
    bench.run_to_end(*Run.objects.values_list("id", flat=True))
    clear(bench.now)
    assert not Event.objects.exists()


def test_spans_go_but_for_those_of_live_runs(bench: Bench, days: Days) -> None:
    (live,) = bench.trigger()
    needed = span(bench, live)
    span(bench, finished(bench))
    span(bench, None)
    go_on(bench, days, 1)
    span(bench, finished(bench))
    go_on(bench, days, MONTH)
    assert clear(bench.now)["traces"] == 2
    assert [one.id for one in Span.objects.all()] == [needed]
    assert len(days.of("engine_span")) == 2
    bench.run_to_end(live)
    clear(bench.now)
    assert not Span.objects.exists()


def test_a_key_that_ends_with_a_run_is_free_when_the_run_is_gone(bench: Bench, days: Days) -> None:
    once = Idempotency("input.key", 86_400_000 * 300, IdempotencyMethod.STATUS)
    bench.put(name="once", idempotency=once)
    request = TriggerRequest("once", input=b'{"key":"a"}')
    old = finished(bench, request)
    go_on(bench, days, MONTH)
    clear(bench.now)
    assert not IdempotencyKey.objects.exists()
    assert finished(bench, request) != old


def test_counts_go_with_what_they_count(bench: Bench, days: Days) -> None:
    finished(bench)
    (live,) = bench.trigger()
    go_on(bench, days, MONTH)
    clear(bench.now)
    finals = RunTally.objects.filter(tenant_id=bench.tenant_id, status__gte=Status.COMPLETED)
    assert not finals.exists()
    bench.run_to_end(live)
    counts: dict[int, int] = {}
    for row in RunTally.objects.filter(tenant_id=bench.tenant_id):
        counts[row.status] = counts.get(row.status, 0) + row.delta
    assert {status: count for status, count in counts.items() if count} == {Status.COMPLETED: 1}


def test_fired_schedules_dead_workers_and_old_versions_go(bench: Bench, days: Days) -> None:
    request = TriggerRequest("flow")
    soon, late = bench.now + timedelta(minutes=1), bench.now + timedelta(days=300)
    sync_db.run(schedule_runs(bench.tenant_id, request, [soon, late], bench.now))
    sync_db.run(fire_schedules(soon))
    busy, idle = bench.worker(), bench.worker()
    (live,) = bench.trigger()
    bench.assign(live, worker_id=busy)
    first = Run.objects.get(id=live).version_id
    bench.run_to_end(*Run.objects.filter(status=Status.QUEUED).values_list("id", flat=True))
    second = bench.put(step("work"), step("more")).version_id
    third = bench.put(step("work"), step("most")).version_id
    go_on(bench, days, MONTH + 1)
    clear(bench.now)
    assert [one.trigger_at for one in Schedule.objects.all()] == [late]
    left = set(Worker.objects.filter(tenant_id=bench.tenant_id).values_list("id", flat=True))
    assert left == {busy}
    assert idle not in left
    versions = WorkflowVersion.objects.filter(workflow__tenant_id=bench.tenant_id)
    assert set(versions.values_list("id", flat=True)) == {first, third}
    assert second != third


def test_what_lies_in_no_partition_of_a_day_goes_too(bench: Bench, days: Days) -> None:
    """A day whose partitions could not be made: its rows are in the default ones."""
    days.now += timedelta(days=1)
    bench.now = days.now
    finished(bench)
    go_on(bench, days, MONTH)
    assert clear(bench.now)["runs"] >= 1
    assert not Run.objects.exists()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM engine_payload")
        assert cursor.fetchone() == (0,)


def test_a_year_ends_as_small_as_a_month(bench: Bench, days: Days) -> None:
    """Something happens every tenth day, and once in a while a run begins that sleeps for long."""
    sleeping: list[UUID] = []
    most = 0
    for number in range(36):
        go_on(bench, days, 10)
        finished(bench)
        push(bench)
        log_line(bench, finished(bench))
        if number % 9 == 3:
            sleeping += bench.trigger()
            log_line(bench, sleeping[-1])
        clear(bench.now)
        over = Run.objects.exclude(id__in=sleeping).values_list("id", flat=True)
        most = max(most, len(over))
        assert all(bench.now - time_of(run_id) <= timedelta(days=31) for run_id in over)
    assert most <= 2 * 4
    assert set(Run.objects.filter(status__lt=2).values_list("id", flat=True)) == set(sleeping)
    assert LogLine.objects.filter(run_id__in=sleeping).count() == len(sleeping) == 4
    assert len(days.of("engine_run")) <= 4 + len(sleeping)
    for run_id in sleeping:
        bench.run_to_end(run_id)
    go_on(bench, days, MONTH)
    clear(bench.now)
    assert not Run.objects.exists()
    assert not Payload.objects.exists()
    assert days.of("engine_run") == days.of("engine_payload") == [f"{days.now:%Y%m%d}"]
