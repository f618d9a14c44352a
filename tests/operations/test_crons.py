"""Crons fire once per nominal time, for the latest version, and what they missed is not made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from engine.domain.cron_firing import Missed
from engine.errors import InvalidArgument, NotFound
from engine.models import Cron, CronMiss, Payload, Run
from engine.operations.announce import announced
from engine.operations.change_crons import create_cron, delete_cron, switch_cron
from engine.operations.fire_crons import Fired, fire_crons, run_cron_now, set_cron_aside
from engine.operations.pause_workflows import Pause, pause_workflow
from engine.operations.put_workflow import delete_workflow
from engine.states import CronMissCause, MissedPolicy, RunTrigger
from engine.store import crons, schedules, sync_db
from engine.store.query import fetch
from engine.types import TriggerRequest
from tenants.models import Tenant
from tests.api.factories import make_workflow, now, step
from tests.cast import Cast, make_cast
from tests.json_documents import exact

START = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def cast(db: None) -> Cast:
    Cron.objects.all().delete()  # what tests that commit have left; rolled back as everything is
    Run.objects.all().delete()
    return make_cast()


@pytest.fixture
def tenant(cast: Cast) -> Tenant:
    return cast.tenant


def add(tenant: Tenant, name: str = "nightly", expression: str = "* * * * *", **given: Any) -> UUID:
    missed = given.pop("missed", MissedPolicy.SKIP)
    operation = create_cron(
        tenant.id,
        name=name,
        expression=expression,
        request=TriggerRequest("greet", **given),
        now=START,
        missed=missed,
    )
    return sync_db.run(operation)


def fire(at: datetime, not_before: datetime | None = None) -> Fired:
    return sync_db.run(fire_crons(at, not_before or at - MINUTE))


def metadata_of(run: Run) -> dict[str, Any]:
    assert isinstance(run.additional_metadata, dict)
    return run.additional_metadata


def nominal_times() -> list[str]:
    runs = Run.objects.order_by("id")
    return [metadata_of(run)["hatchet__cron_scheduled_at"] for run in runs]


def test_a_cron_starts_runs_with_what_it_was_given(tenant: Tenant) -> None:
    make_workflow(tenant, default_priority=2)
    cron_id = add(tenant, input=b'{"n":1}', additional_metadata=b'{"team":"a"}', priority=3)
    assert fire(START + timedelta(seconds=59)).looked_at == 0
    fired = fire(START + MINUTE)
    assert (fired.looked_at, len(fired.changes.ready)) == (1, 1)
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
    assert fire(late).looked_at == 1
    assert fire(late).looked_at == 0
    # Another process whose clock is behind switches it off and on: the time is not due again.
    behind = START + timedelta(seconds=30)
    for is_enabled in (False, True):
        sync_db.run(switch_cron(tenant.id, cron_id, is_enabled=is_enabled, now=behind))
    assert fire(late).looked_at == 0
    Cron.objects.update(due_at=START + MINUTE)
    assert fire(late).looked_at == 1
    assert nominal_times() == ["2026-05-01T12:01:00Z"]
    assert Cron.objects.get().due_at == START + 2 * MINUTE


def test_every_nominal_time_fires_although_the_engine_is_late(tenant: Tenant) -> None:
    make_workflow(tenant)
    add(tenant, expression="* * * * * *")
    late = START + timedelta(seconds=3, milliseconds=200)
    while fire(late).looked_at:
        pass
    assert nominal_times() == [f"2026-05-01T12:00:0{n}Z" for n in (1, 2, 3)]


def test_what_was_missed_is_not_made_up(tenant: Tenant) -> None:
    make_workflow(tenant)
    add(tenant)
    back = START + timedelta(minutes=30, seconds=20)
    fired = fire(back, not_before=back - timedelta(seconds=3))
    assert (fired.looked_at, Run.objects.count()) == (1, 0)
    assert Cron.objects.get().due_at == START + timedelta(minutes=31)
    fire(START + timedelta(minutes=31))
    assert nominal_times() == ["2026-05-01T12:31:00Z"]


def misses() -> list[tuple[CronMissCause, int, str, str]]:
    return [
        (
            CronMissCause(miss.cause),
            miss.count,
            f"{miss.first_at:%m-%d %H:%M:%S}",
            f"{miss.last_at:%m-%d %H:%M:%S}",
        )
        for miss in CronMiss.objects.order_by("id")
    ]


def fire_all(at: datetime, running_since: datetime) -> None:
    while sync_db.run(fire_crons(at, running_since)).looked_at:
        pass


OUTAGE = START + timedelta(minutes=30, seconds=20)


@pytest.mark.parametrize(
    ("policy", "runs", "told"),
    [
        (MissedPolicy.SKIP, 0, [(CronMissCause.STOPPED, 30, "05-01 12:01:00", "05-01 12:30:00")]),
        (MissedPolicy.LATEST, 1, [(CronMissCause.STOPPED, 29, "05-01 12:01:00", "05-01 12:29:00")]),
        (MissedPolicy.ALL, 30, []),
    ],
)
def test_what_fell_due_while_no_engine_ran_is_told_and_made_up_as_the_cron_wants(
    tenant: Tenant, policy: MissedPolicy, runs: int, told: list[Any]
) -> None:
    make_workflow(tenant)
    add(tenant, missed=policy)
    fire_all(OUTAGE, running_since=OUTAGE - timedelta(seconds=3))
    expected = [f"2026-05-01T12:{30 - n:02}:00Z" for n in range(runs)]
    assert nominal_times() == sorted(expected)
    assert misses() == told
    assert Cron.objects.get().due_at == START + timedelta(minutes=31)
    fire_all(START + timedelta(minutes=31), running_since=OUTAGE)
    assert nominal_times()[-1] == "2026-05-01T12:31:00Z"


def test_not_more_than_the_last_hundred_are_made_up(tenant: Tenant) -> None:
    make_workflow(tenant)
    add(tenant, expression="* * * * * *", missed=MissedPolicy.ALL)
    back = START + timedelta(days=1)
    fire_all(back, running_since=back)
    assert nominal_times() == [
        f"2026-05-02T{back - timedelta(seconds=99 - n):%H:%M:%S}Z".replace("02T23", "01T23")
        for n in range(100)
    ]
    assert misses() == [(CronMissCause.TOO_MANY, 86_300, "05-01 12:00:01", "05-02 11:58:20")]


def test_an_outage_of_months_is_one_entry_and_one_look(tenant: Tenant) -> None:
    make_workflow(tenant)
    add(tenant, expression="* * * * * *")
    back = START + timedelta(days=100)
    assert fire(back, not_before=back).looked_at == 1
    assert misses() == [(CronMissCause.STOPPED, 8_639_999, "05-01 12:00:01", "08-09 11:59:59")]
    assert Cron.objects.get().due_at == back


def test_a_crash_while_times_are_made_up_loses_none_of_them(tenant: Tenant) -> None:
    make_workflow(tenant)
    add(tenant, missed=MissedPolicy.ALL)
    for since in (OUTAGE, OUTAGE + timedelta(seconds=5), OUTAGE + timedelta(seconds=10)):
        assert sync_db.run(fire_crons(since, since)).looked_at == 1
    later = OUTAGE + timedelta(seconds=20)
    fire_all(later, running_since=later)
    assert len(nominal_times()) == len(set(nominal_times())) == 30


def test_what_is_missed_again_and_again_belongs_together(tenant: Tenant) -> None:
    make_workflow(tenant)
    add(tenant)
    for minutes in (10, 20):
        back = START + timedelta(minutes=minutes, seconds=30)
        fire(back, not_before=back)
    assert misses() == [(CronMissCause.STOPPED, 20, "05-01 12:01:00", "05-01 12:20:00")]
    fire(START + timedelta(minutes=21))
    back = START + timedelta(minutes=30, seconds=30)
    fire(back, not_before=back)
    assert misses()[1:] == [(CronMissCause.STOPPED, 9, "05-01 12:22:00", "05-01 12:30:00")]


def test_the_last_hundred_entries_are_kept(tenant: Tenant) -> None:
    make_workflow(tenant)
    cron_id = add(tenant)
    for number in range(105):
        missed = Missed(CronMissCause.FAILED, 1, START, START, f"cause {number}")
        sync_db.run(fetch(crons.record_misses([(cron_id, missed)], START)))
    found = [miss.detail for miss in CronMiss.objects.order_by("id")]
    assert found == [f"cause {number}" for number in range(5, 105)]


def test_why_a_time_was_missed(tenant: Tenant) -> None:
    put = make_workflow(tenant)
    add(tenant)
    late = START + timedelta(minutes=5, seconds=10)
    fire(late, not_before=START)
    pause = Pause("DROP", "QUEUE", 60.0)
    sync_db.run(pause_workflow(tenant.id, put.workflow_id, pause, START))
    fire(START + timedelta(minutes=6))
    assert misses() == [
        (CronMissCause.LATE, 4, "05-01 12:01:00", "05-01 12:04:00"),
        (CronMissCause.PAUSED, 2, "05-01 12:05:00", "05-01 12:06:00"),
    ]
    assert Run.objects.count() == 0


def test_misses_go_with_their_cron(tenant: Tenant) -> None:
    make_workflow(tenant)
    cron_id = add(tenant)
    fire(OUTAGE, not_before=OUTAGE)
    assert CronMiss.objects.exists()
    sync_db.run(delete_cron(tenant.id, cron_id))
    assert not CronMiss.objects.exists()


def test_a_cron_that_cannot_fire_passes_over_its_time_and_says_why(tenant: Tenant) -> None:
    make_workflow(tenant)
    cron_id = add(tenant)
    later = START + timedelta(minutes=2, seconds=1)
    sync_db.run(set_cron_aside(cron_id, "KeyError: x", later))
    assert misses() == [(CronMissCause.FAILED, 2, "05-01 12:01:00", "05-01 12:02:00")]
    assert CronMiss.objects.get().detail == "KeyError: x"
    assert Cron.objects.get().due_at == START + timedelta(minutes=3)
    sync_db.run(set_cron_aside(cron_id, "KeyError: x", later))  # another engine was first
    assert len(misses()) == 1


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


def test_a_tick_at_the_very_edge_of_what_was_missed_fires(tenant: Tenant) -> None:
    make_workflow(tenant)
    add(tenant)
    edge = START + 30 * MINUTE
    fire(edge, not_before=edge)
    fire(edge, not_before=edge)
    assert nominal_times() == ["2026-05-01T12:30:00Z"]


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
    assert fire(START + 10 * MINUTE).looked_at == 0
    again = START + timedelta(minutes=10, seconds=30)
    sync_db.run(switch_cron(tenant.id, cron_id, is_enabled=True, now=again))
    assert Cron.objects.get().due_at == START + 11 * MINUTE
    assert fire(START + 11 * MINUTE).looked_at == 1
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
    run_id = sync_db.run(announced(run_cron_now(tenant.id, cron_id, START)))
    run = Run.objects.get(id=run_id)
    assert metadata_of(run)["a"] == "b"
    assert "hatchet__cron_scheduled_at" not in metadata_of(run)
    assert run.priority == 2
    assert Cron.objects.get().due_at == START + MINUTE


def test_an_expression_that_became_wrong_stops_only_its_own_cron(tenant: Tenant) -> None:
    make_workflow(tenant)
    broken, fine = add(tenant, "broken"), add(tenant, "fine")
    Cron.objects.filter(id=broken).update(expression="TZ=Gone/Zone * * * * *")
    assert fire(START + MINUTE).looked_at == 2
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
