"""A one-time schedule starts one run, at its time or as soon as possible after it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from engine.errors import InvalidArgument, NotFound
from engine.ids import new_id
from engine.models import ChildLink, Run, Schedule
from engine.operations.put_workflow import delete_workflow
from engine.operations.timetable.change_schedules import (
    delete_schedules,
    move_schedules,
    schedule_runs,
)
from engine.operations.timetable.fire_schedules import (
    ALREADY_FIRED,
    UNKNOWN,
    fire_schedules,
    run_schedule_now,
)
from engine.states import RunTrigger
from engine.store import schedules, sync_db
from engine.store.query import fetch
from engine.types import TriggerRequest
from tenants.models import Tenant
from tests.api.factories import make_workflow, now, start_run, step, tasks_of
from tests.cast import Cast, make_cast

START = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def cast(db: None) -> Cast:
    Schedule.objects.all().delete()  # what tests that commit have left
    Run.objects.all().delete()
    return make_cast()


@pytest.fixture
def tenant(cast: Cast) -> Tenant:
    make_workflow(cast.tenant)
    return cast.tenant


def add(tenant: Tenant, *times: datetime, **given: Any) -> list[UUID]:
    request = TriggerRequest("greet", **given)
    made = sync_db.run(schedule_runs(tenant.id, request, times or (START,), now()))
    return [schedule_id for schedule_id, _ in made.schedules]


def fire(at: datetime = START) -> int:
    return sync_db.run(fire_schedules(at))


def test_it_fires_once_with_what_it_was_given(tenant: Tenant) -> None:
    (schedule_id,) = add(tenant, input=b'{"n":1}', additional_metadata=b'{"a":"b"}', priority=3)
    assert sync_db.run(fetch(schedules.next_due())) == [START]
    assert fire(START - timedelta(microseconds=1)) == 0
    assert fire() == 1
    assert fire(START + HOUR) == 0
    run = Run.objects.get()
    assert (run.priority, run.trigger) == (3, RunTrigger.SCHEDULE)
    assert run.additional_metadata == {"a": "b"}
    schedule = Schedule.objects.get(id=schedule_id)
    assert (schedule.run_id, schedule.due_at, schedule.trigger_at) == (run.id, None, START)
    assert sync_db.run(fetch(schedules.next_due())) == [None]


def test_what_was_missed_runs_as_soon_as_it_can(tenant: Tenant) -> None:
    add(tenant, START, START + HOUR, START + 48 * HOUR)
    assert fire(START + 24 * HOUR) == 2
    assert Run.objects.count() == 2


def test_the_latest_version_runs(tenant: Tenant) -> None:
    add(tenant)
    latest = make_workflow(tenant, "greet", step("greet"), step("more", "greet"))
    fire()
    assert Run.objects.get().version_id == latest.version_id


def test_the_answer_names_the_latest_version(tenant: Tenant) -> None:
    latest = make_workflow(tenant, description="second")
    made = sync_db.run(schedule_runs(tenant.id, TriggerRequest("greet"), [START], now()))
    assert (made.workflow_id, made.version_id) == (latest.workflow_id, latest.version_id)
    assert made.version_order == 2
    assert [at for _, at in made.schedules] == [START]


def test_a_scheduled_child_belongs_to_its_parent(tenant: Tenant) -> None:
    parent = start_run(tenant, metadata={"from": "parent"})
    given: dict[str, Any] = {"parent_task_id": tasks_of(parent)[0].id, "child_index": 0}
    first, second = add(tenant, START, START, **given)
    fire()
    child = Run.objects.exclude(id=parent.id).get()
    assert (child.parent_run_id, child.trigger) == (parent.id, RunTrigger.CHILD)
    assert isinstance(child.additional_metadata, dict)
    assert child.additional_metadata["from"] == "parent"
    runs = {Schedule.objects.get(id=schedule_id).run_id for schedule_id in (first, second)}
    assert runs == {child.id}
    assert ChildLink.objects.filter(parent_task_id=given["parent_task_id"]).count() == 1


def test_a_parent_that_is_gone_does_not_stop_the_others(tenant: Tenant) -> None:
    parent = start_run(tenant)
    add(tenant, parent_task_id=tasks_of(parent)[0].id, child_index=0)
    add(tenant)
    Schedule.objects.filter(child_index=0).update(parent_task_id=new_id())
    assert fire() == 2
    assert Run.objects.exclude(id=parent.id).count() == 2


def test_an_unknown_workflow_or_parent_is_refused(cast: Cast, tenant: Tenant) -> None:
    with pytest.raises(NotFound, match="greet"):
        add(cast.other_tenant)
    with pytest.raises(InvalidArgument, match="parent task"):
        add(tenant, parent_task_id=new_id(), child_index=0)
    assert not Schedule.objects.exists()


def test_it_can_be_moved_until_it_has_fired(tenant: Tenant) -> None:
    early, late = add(tenant, START, START)
    moved = sync_db.run(move_schedules(tenant.id, [(late, START + HOUR)], now()))
    assert (moved.changed, moved.refused) == ([late], [])
    assert fire() == 1
    unknown = new_id()
    times = [(i, START + 2 * HOUR) for i in (early, late, unknown)]
    outcome = sync_db.run(move_schedules(tenant.id, times, now()))
    assert outcome.changed == [late]
    assert outcome.refused == [(early, ALREADY_FIRED), (unknown, UNKNOWN)]
    assert Schedule.objects.get(id=late).trigger_at == START + 2 * HOUR


def test_it_can_be_deleted_until_it_has_fired(tenant: Tenant) -> None:
    early, late = add(tenant, START, START + HOUR)
    fire()
    outcome = sync_db.run(delete_schedules(tenant.id, [early, late, late]))
    assert (outcome.changed, outcome.refused) == ([late], [(early, ALREADY_FIRED)])
    assert [schedule.id for schedule in Schedule.objects.all()] == [early]


def test_it_can_be_run_before_its_time_and_then_never_again(tenant: Tenant) -> None:
    (schedule_id,) = add(tenant)
    run_id = sync_db.run(run_schedule_now(tenant.id, schedule_id, START - HOUR))
    assert Run.objects.get().id == run_id
    assert fire() == 0
    with pytest.raises(InvalidArgument, match="already been triggered"):
        sync_db.run(run_schedule_now(tenant.id, schedule_id, START))


def test_a_deleted_workflow_runs_no_more(tenant: Tenant) -> None:
    put = make_workflow(tenant)
    add(tenant)
    sync_db.run(delete_workflow(tenant.id, put.workflow_id, now()))
    assert fire() == 0
    assert not Schedule.objects.exists()


def test_nobody_touches_the_schedules_of_others(cast: Cast, tenant: Tenant) -> None:
    (schedule_id,) = add(tenant)
    other = cast.other_tenant.id
    with pytest.raises(NotFound):
        sync_db.run(run_schedule_now(other, schedule_id, START))
    for outcome in (
        sync_db.run(move_schedules(other, [(schedule_id, START + HOUR)], now())),
        sync_db.run(delete_schedules(other, [schedule_id])),
    ):
        assert outcome.refused == [(schedule_id, UNKNOWN)]
    assert Schedule.objects.get().due_at == START


def test_a_schedule_of_an_archived_tenant_waits_until_it_is_back(tenant: Tenant) -> None:
    add(tenant)
    Tenant.objects.filter(id=tenant.id).update(archived_at=START)
    assert sync_db.run(fetch(schedules.next_due())) == [None]
    assert fire(START + HOUR) == 0
    assert not Run.objects.exists()
    Tenant.objects.filter(id=tenant.id).update(archived_at=None)
    assert fire(START + HOUR) == 1
