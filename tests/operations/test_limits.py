"""What tenants may have only so much of: exactly so much, in each window, and nothing of what is beyond."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from engine.errors import InvalidArgument, LimitReached
from engine.ids import new_id
from engine.models import Cron, Event, Run, Schedule, Worker
from engine.operations.push_events import push_events
from engine.operations.read_usage import Usage, read_usage
from engine.operations.register_worker import register_worker
from engine.operations.timetable.change_crons import create_cron
from engine.operations.timetable.change_schedules import schedule_runs
from engine.store import resource_limits, sync_db
from engine.store.resource_limits import Announced
from engine.types import EventInput, TriggerRequest, WorkerRegistration
from tenants.limits import enforced
from tenants.models import AuditEntry, ResourceLimit, Tenant
from tenants.resources import Resource
from tests.limits import enforce
from tests.operations.bench import Bench, step

FLOW = TriggerRequest("flow")


@pytest.fixture
def bench(db: None) -> Bench:
    bench = Bench()
    bench.put()
    return bench


def trigger_refused(bench: Bench, *requests: TriggerRequest) -> int:
    """Return how much room was left."""
    before = Run.objects.count()
    with pytest.raises(LimitReached, match=r"limit of .*TASK_RUN") as caught:
        bench.trigger(*requests)
    assert Run.objects.count() == before
    assert caught.value.tenant_id == bench.tenant_id
    return caught.value.room


def push(bench: Bench, *keys: str) -> None:
    sync_db.run(push_events(bench.tenant_id, [EventInput(key) for key in keys], bench.now))


def usage_of(bench: Bench, resource: Resource) -> Usage:
    found = sync_db.run(read_usage(bench.tenant_id, bench.now))
    return next(usage for usage in found if usage.resource is resource)


def announce(bench: Bench) -> list[Announced]:
    return sync_db.read(resource_limits.announce(enforced(), bench.now))


def test_exactly_so_many_runs_start(bench: Bench, settings: Settings) -> None:
    enforce(settings, task_run=3)
    bench.trigger(FLOW, FLOW)
    assert trigger_refused(bench, FLOW, FLOW) == 1
    bench.trigger(FLOW)
    assert trigger_refused(bench) == 0
    assert Run.objects.count() == 3
    usage = usage_of(bench, Resource.TASK_RUN)
    assert (usage.value, usage.most, usage.alarm, usage.since) == (3, 3, 1, bench.now)
    assert usage.is_reached


def test_every_task_of_a_graph_counts(bench: Bench, settings: Settings) -> None:
    bench.put(step("one"), step("two"), name="dag")
    enforce(settings, task_run=3)
    bench.trigger(TriggerRequest("dag"))
    assert trigger_refused(bench, TriggerRequest("dag")) == 1
    bench.trigger(FLOW)


def test_the_next_window_begins_with_what_is_taken_next(bench: Bench, settings: Settings) -> None:
    enforce(settings, task_run=2)
    bench.trigger(FLOW, FLOW)
    bench.pass_time(86_399)
    trigger_refused(bench)
    bench.pass_time(1)
    assert usage_of(bench, Resource.TASK_RUN).value == 0
    bench.trigger(FLOW)
    usage = usage_of(bench, Resource.TASK_RUN)
    assert (usage.value, usage.since) == (1, bench.now)


def test_more_than_there_ever_is_is_refused_at_once(bench: Bench, settings: Settings) -> None:
    enforce(settings, task_run=2)
    assert trigger_refused(bench, FLOW, FLOW, FLOW) == 2
    assert not ResourceLimit.objects.exists()
    enforce(settings, task_run=0)
    assert trigger_refused(bench) == 0


def test_tenants_have_limits_each(bench: Bench, settings: Settings) -> None:
    other = Bench()
    other.put()
    enforce(settings, task_run=1)
    bench.trigger()
    other.trigger()
    trigger_refused(bench)
    trigger_refused(other)


def test_a_child_that_is_there_takes_nothing(bench: Bench, settings: Settings) -> None:
    (parent,) = bench.trigger()
    child = TriggerRequest("flow", parent_run_id=parent, parent_task_id=parent, child_index=0)
    enforce(settings, task_run=1)
    first = bench.trigger(child)
    assert bench.trigger(child) == first
    trigger_refused(bench)


def test_events_count_with_what_they_start(bench: Bench, settings: Settings) -> None:
    bench.put(name="told", event_triggers=("order",))
    enforce(settings, event=3, task_run=1)
    push(bench, "nothing", "order")
    with pytest.raises(LimitReached, match="EVENT"):
        push(bench, "nothing", "nothing")
    with pytest.raises(LimitReached, match="TASK_RUN"):
        push(bench, "order")
    assert (Event.objects.count(), Run.objects.count()) == (2, 1)
    push(bench, "nothing")
    assert usage_of(bench, Resource.EVENT).value == 3


def test_crons_and_schedules_count_as_long_as_they_are_there(
    bench: Bench, settings: Settings
) -> None:
    enforce(settings, cron=2, schedule=2)
    later = bench.now + timedelta(days=1)

    def cron(name: str) -> None:
        made = create_cron(
            bench.tenant_id, name=name, expression="0 3 * * *", request=FLOW, now=bench.now
        )
        sync_db.run(made)

    def schedule(count: int) -> None:
        times = [later + timedelta(minutes=number) for number in range(count)]
        sync_db.run(schedule_runs(bench.tenant_id, FLOW, times, bench.now))

    cron("one")
    cron("two")
    with pytest.raises(LimitReached, match="CRON"):
        cron("three")
    assert Cron.objects.count() == 2
    with pytest.raises(InvalidArgument):
        cron("two")
    Cron.objects.filter(name="one").delete()
    cron("three")
    with pytest.raises(LimitReached, match="SCHEDULE"):
        schedule(3)
    schedule(2)
    assert Schedule.objects.count() == 2
    with pytest.raises(LimitReached, match="SCHEDULE"):
        schedule(1)
    Schedule.objects.update(due_at=None)
    schedule(2)
    assert usage_of(bench, Resource.SCHEDULE).value == 2


def test_declared_crons_count_too(bench: Bench, settings: Settings) -> None:
    enforce(settings, cron=1)
    with pytest.raises(LimitReached, match="CRON"):
        bench.put(name="often", cron_triggers=("0 1 * * *", "0 2 * * *"))
    bench.put(name="often", cron_triggers=("0 1 * * *",))
    bench.put(name="often", cron_triggers=("0 1 * * *",))
    bench.put(step("work"), name="often", cron_triggers=("0 2 * * *",))
    with pytest.raises(LimitReached, match="CRON"):
        bench.put(name="more", cron_triggers=("0 2 * * *",))
    bench.put(name="none")


def test_workers_and_their_slots(bench: Bench, settings: Settings) -> None:
    enforce(settings, worker=3, worker_slot=100)

    def register(slots: int) -> UUID:
        worker_id, registration = new_id(), WorkerRegistration("w", (), {"default": slots}, {})
        sync_db.run(register_worker(worker_id, bench.tenant_id, registration, bench.now))
        return worker_id

    first = register(60)
    with pytest.raises(LimitReached, match="WORKER_SLOT"):
        register(41)
    register(40)
    register(0)
    with pytest.raises(LimitReached, match=r"\(WORKER\)"):
        register(0)
    assert usage_of(bench, Resource.WORKER_SLOT).value == 100
    bench.pass_time(31)
    listening = {"is_active": True, "last_listener_at": bench.now, "last_heartbeat_at": bench.now}
    Worker.objects.filter(id=first).update(**listening)
    assert usage_of(bench, Resource.WORKER).value == 1
    register(40)


def test_tenants_are_told_of_once(bench: Bench, settings: Settings) -> None:
    enforce(settings, task_run=4, cron=4)
    bench.trigger()
    assert announce(bench) == []
    bench.trigger()
    assert announce(bench) == [Announced(bench.tenant_id, "TASK_RUN", 1, 2, 4)]
    assert announce(bench) == []
    bench.trigger(FLOW, FLOW)
    assert announce(bench) == [Announced(bench.tenant_id, "TASK_RUN", 2, 4, 4)]
    bench.pass_time(86_400)
    assert announce(bench) == []
    bench.trigger(FLOW, FLOW)
    assert announce(bench) == [Announced(bench.tenant_id, "TASK_RUN", 1, 2, 4)]


def test_a_tenant_may_have_a_limit_of_its_own(bench: Bench, settings: Settings) -> None:
    enforce(settings, task_run=1)
    slug = Tenant.objects.get(id=bench.tenant_id).slug
    bench.trigger()
    call_command("setlimit", "TASK_RUN", "3", "--alarm", "2", "--tenant", slug)
    bench.trigger(FLOW, FLOW)
    trigger_refused(bench)
    usage = usage_of(bench, Resource.TASK_RUN)
    assert (usage.value, usage.most, usage.alarm) == (3, 3, 2)
    call_command("setlimit", "TASK_RUN", "--tenant", slug)
    assert usage_of(bench, Resource.TASK_RUN).most == 1
    told = AuditEntry.objects.filter(resource_kind="resource_limit").order_by("id")
    assert [one.after and one.after["limit_value"] for one in told] == [3, None]


@pytest.mark.parametrize(
    "given", [("-1",), ("1", "--alarm", "2"), ("1", "--alarm", "-1"), (str(10**18),)]
)
def test_limits_that_cannot_be(bench: Bench, given: tuple[str, ...]) -> None:
    slug = Tenant.objects.get(id=bench.tenant_id).slug
    with pytest.raises(CommandError):
        call_command("setlimit", "TASK_RUN", "--tenant", slug, "--", *given)
    assert not ResourceLimit.objects.exists()


def test_nothing_is_counted_where_nothing_is_enforced(bench: Bench) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        bench.trigger()
        push(bench, "nothing")
    assert not any("tenants_" in query["sql"] for query in queries)
    assert sync_db.run(read_usage(bench.tenant_id, bench.now)) == []
    assert not ResourceLimit.objects.exists()
