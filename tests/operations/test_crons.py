"""Crons fire once per nominal time, for the latest version."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from engine.errors import InvalidArgument, NotFound
from engine.models import Cron, CronMiss, Payload, Run
from engine.operations.put_workflow import delete_workflow
from engine.operations.timetable.change_crons import create_cron, delete_cron, switch_cron
from engine.operations.timetable.fire_crons import run_cron_now
from engine.states import CronMissCause, RunTrigger
from engine.store import schedules, sync_db
from engine.store.query import fetch
from engine.types import TriggerRequest
from tenants.models import Tenant
from tests.api.factories import make_workflow, now, step
from tests.cast import Cast
from tests.json_documents import exact
from tests.operations.crons import (
    MINUTE,
    START,
    add,
    cast_without_crons,
    fire,
    fire_all,
    metadata_of,
    nominal_times,
)


@pytest.fixture
def cast(db: None) -> Cast:
    return cast_without_crons()


@pytest.fixture
def tenant(cast: Cast) -> Tenant:
    return cast.tenant


def test_a_cron_starts_runs_with_what_it_was_given(tenant: Tenant) -> None:
    make_workflow(tenant, default_priority=2)
    cron_id = add(tenant, input=b'{"n":1}', additional_metadata=b'{"team":"a"}', priority=3)
    assert fire(START + timedelta(seconds=59)) == 0
    fired = fire(START + MINUTE)
    assert fired == 1
    run = Run.objects.get()
    assert run.additional_metadata == {
        "team": "a",
        "hatchet__cron_expression": "* * * * *",
        "hatchet__cron_name": "nightly",
        "hatchet__cron_scheduled_at": "2026-05-01T12:01:00Z",
    }
    assert (run.priority, run.trigger) == (3, RunTrigger.CRON)
    cron = Cron.objects.get(id=cron_id)
    assert (cron.due_at, cron.fired_at) == (START + 2 * MINUTE, START + MINUTE)


def test_a_crons_metadata_keeps_every_digit(tenant: Tenant) -> None:
    make_workflow(tenant)
    add(tenant, additional_metadata=b'{"n":18446744073709551617,"d":0.10000000000000000001}')
    fire(START + MINUTE)
    metadata = exact(Run.objects.get().additional_metadata.text)
    assert (metadata["n"], metadata["d"]) == (2**64 + 1, Decimal("0.10000000000000000001"))


def test_no_nominal_time_fires_twice(tenant: Tenant) -> None:
    make_workflow(tenant)
    cron_id = add(tenant)
    late = START + MINUTE + timedelta(seconds=5)
    assert fire(late) == 1
    assert fire(late) == 0
    # Another process whose clock is behind switches it off and on: the time is not due again.
    behind = START + timedelta(seconds=30)
    for is_enabled in (False, True):
        sync_db.run(switch_cron(tenant.id, cron_id, is_enabled=is_enabled, now=behind))
    assert fire(late) == 0
    Cron.objects.update(due_at=START + MINUTE)
    assert fire(late) == 1
    assert nominal_times() == ["2026-05-01T12:01:00Z"]
    assert Cron.objects.get().due_at == START + 2 * MINUTE


def test_every_nominal_time_fires_although_the_engine_is_late(tenant: Tenant) -> None:
    make_workflow(tenant)
    add(tenant, expression="* * * * * *")
    late = START + timedelta(seconds=3, milliseconds=200)
    while fire(late):
        pass
    assert nominal_times() == [f"2026-05-01T12:00:0{n}Z" for n in (1, 2, 3)]


def test_an_interval_counts_from_the_making_of_its_cron(tenant: Tenant) -> None:
    make_workflow(tenant)
    made = START + timedelta(seconds=17)
    create = create_cron(
        tenant.id, name="often", expression="@every 90s", request=TriggerRequest("greet"), now=made
    )
    sync_db.run(create)
    for seconds in (90, 180):
        fire_all(made + timedelta(seconds=seconds), running_since=START)
    assert nominal_times() == ["2026-05-01T12:01:47Z", "2026-05-01T12:03:17Z"]


def test_a_tick_runs_the_latest_version(tenant: Tenant) -> None:
    make_workflow(tenant)
    add(tenant)
    latest = make_workflow(tenant, "greet", step("greet"), step("more", "greet"))
    fire(START + MINUTE)
    run = Run.objects.get()
    assert (run.version_id, run.is_dag) == (latest.version_id, True)


def test_a_disabled_cron_does_not_fire_and_an_enabled_one_does_not_catch_up(tenant: Tenant) -> None:
    make_workflow(tenant)
    cron_id = add(tenant)
    sync_db.run(switch_cron(tenant.id, cron_id, is_enabled=False, now=START))
    assert fire(START + 10 * MINUTE) == 0
    again = START + timedelta(minutes=10, seconds=30)
    sync_db.run(switch_cron(tenant.id, cron_id, is_enabled=True, now=again))
    assert Cron.objects.get().due_at == START + 11 * MINUTE
    assert fire(START + 11 * MINUTE) == 1
    sync_db.run(switch_cron(tenant.id, cron_id, is_enabled=False, now=again))
    later = again + timedelta(minutes=10)
    sync_db.run(switch_cron(tenant.id, cron_id, is_enabled=True, now=later))
    assert Cron.objects.get().due_at == START + 21 * MINUTE


def test_declared_crons_follow_the_latest_version(tenant: Tenant) -> None:
    crons = ("0 1 * * *", "0 2 * * *")
    put = make_workflow(tenant, cron_triggers=crons, cron_input='{"a":1}')
    by_api = add(tenant)
    assert not make_workflow(tenant, cron_triggers=crons, cron_input='{"a":1}').is_new
    kept = Cron.objects.get(expression="0 2 * * *")
    sync_db.run(switch_cron(tenant.id, kept.id, is_enabled=False, now=now()))
    newer = ("0 2 * * *", "0 3 * * *")
    assert make_workflow(tenant, cron_triggers=newer, cron_input='{"a":2}').is_new
    found = {cron.expression: cron for cron in Cron.objects.filter(is_declared=True)}
    assert set(found) == set(newer)
    assert not found["0 2 * * *"].is_enabled
    assert found["0 2 * * *"].due_at is None
    assert found["0 3 * * *"].is_enabled
    assert {bytes(cron.input) for cron in found.values()} == {b'{"a":2}'}
    assert Cron.objects.get(id=by_api).workflow_id == put.workflow_id
    make_workflow(tenant, description="without crons")
    assert [cron.id for cron in Cron.objects.all()] == [by_api]


def test_a_deleted_workflow_takes_its_crons_along(tenant: Tenant) -> None:
    put = make_workflow(tenant, cron_triggers=("* * * * *",))
    add(tenant)
    sync_db.run(delete_workflow(tenant.id, put.workflow_id, now()))
    assert not Cron.objects.exists()
    assert sync_db.run(fetch(schedules.next_due())) == [None]


def test_a_cron_can_be_run_beside_its_times(tenant: Tenant) -> None:
    make_workflow(tenant)
    cron_id = add(tenant, input=b'{"n":1}', additional_metadata=b'{"a":"b"}', priority=2)
    run_id = sync_db.run(run_cron_now(tenant.id, cron_id, START))
    run = Run.objects.get(id=run_id)
    assert metadata_of(run)["a"] == "b"
    assert "hatchet__cron_scheduled_at" not in metadata_of(run)
    assert run.priority == 2
    assert Cron.objects.get().due_at == START + MINUTE


def test_an_expression_that_became_wrong_stops_only_its_own_cron(tenant: Tenant) -> None:
    make_workflow(tenant)
    broken, fine = add(tenant, "broken"), add(tenant, "fine")
    Cron.objects.filter(id=broken).update(expression="TZ=Gone/Zone * * * * *")
    assert fire(START + MINUTE) == 2
    assert Run.objects.count() == 1
    assert Cron.objects.get(id=broken).due_at is None
    assert "time zone" in CronMiss.objects.get(cron_id=broken).detail
    assert Cron.objects.get(id=fine).due_at == START + 2 * MINUTE


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"expression": "61 * * * *"}, "cronExpression"),
        ({"expression": "* * * * *"}, "already"),
    ],
)
def test_a_wrong_cron_is_refused(tenant: Tenant, given: dict[str, Any], error: str) -> None:
    make_workflow(tenant)
    add(tenant)
    with pytest.raises(InvalidArgument, match=error):
        add(tenant, **given)
    assert Cron.objects.count() == 1


def test_nobody_touches_the_crons_of_others(cast: Cast) -> None:
    make_workflow(cast.tenant)
    cron_id, other = add(cast.tenant), cast.other_tenant.id
    with pytest.raises(InvalidArgument, match="not found"):
        add(cast.other_tenant)
    for operation in (
        switch_cron(other, cron_id, is_enabled=False, now=START),
        delete_cron(other, cron_id),
        run_cron_now(other, cron_id, START),
    ):
        with pytest.raises(NotFound):
            sync_db.run(operation)
    assert Cron.objects.get().is_enabled


def test_a_declared_cron_has_no_name_the_declared_input_and_the_workflows_priority(
    tenant: Tenant,
) -> None:
    make_workflow(tenant, cron_triggers=("* * * * *",), cron_input='{"a":1}', default_priority=3)
    cron = Cron.objects.get()
    assert (cron.name, cron.priority, bytes(cron.input)) == ("", None, b'{"a":1}')
    Cron.objects.update(due_at=START)
    fire(START)
    run = Run.objects.get()
    assert (run.priority, metadata_of(run)["hatchet__cron_name"]) == (3, "")
    assert bytes(Payload.objects.get(owner_id=run.id).data) == b'{"a":1}'


def test_an_unchanged_definition_leaves_its_crons_as_they_are(tenant: Tenant) -> None:
    make_workflow(tenant, cron_triggers=("* * * * *",))
    Cron.objects.update(due_at=START, fired_at=START - MINUTE, is_enabled=False)
    before = Cron.objects.values().get()
    make_workflow(tenant, cron_triggers=("* * * * *",))
    assert Cron.objects.values().get() == before


def test_a_cron_of_an_archived_tenant_goes_on_without_firing(tenant: Tenant) -> None:
    make_workflow(tenant)
    cron_id = add(tenant)
    Tenant.objects.filter(id=tenant.id).update(archived_at=START)
    fire(START + MINUTE)
    assert not Run.objects.exists()
    assert CronMiss.objects.get(cron_id=cron_id).cause == CronMissCause.PAUSED
    Tenant.objects.filter(id=tenant.id).update(archived_at=None)
    fire(START + 2 * MINUTE)
    assert nominal_times() == ["2026-05-01T12:02:00Z"]
