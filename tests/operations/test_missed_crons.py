"""What crons missed is told, and made up if the cron wants that."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.domain.cron.firing import Missed
from engine.models import Cron, CronMiss, Run
from engine.operations.pause_workflows import Pause, pause_workflow
from engine.operations.timetable.change_crons import delete_cron
from engine.operations.timetable.fire_crons import fire_crons, set_cron_aside
from engine.states import CronMissCause, MissedPolicy
from engine.store import crons, sync_db
from engine.store.query import fetch
from tenants.models import Tenant
from tests.api.factories import make_workflow
from tests.cast import Cast
from tests.operations.crons import (
    MINUTE,
    START,
    add,
    cast_without_crons,
    fire,
    fire_all,
    misses,
    nominal_times,
)

OUTAGE = START + timedelta(minutes=30, seconds=20)


@pytest.fixture
def cast(db: None) -> Cast:
    return cast_without_crons()


@pytest.fixture
def tenant(cast: Cast) -> Tenant:
    return cast.tenant


def test_what_was_missed_is_not_made_up(tenant: Tenant) -> None:
    make_workflow(tenant)
    add(tenant)
    back = START + timedelta(minutes=30, seconds=20)
    fired = fire(back, not_before=back - timedelta(seconds=3))
    assert (fired, Run.objects.count()) == (1, 0)
    assert Cron.objects.get().due_at == START + timedelta(minutes=31)
    fire(START + timedelta(minutes=31))
    assert nominal_times() == ["2026-05-01T12:31:00Z"]


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
    assert fire(back, not_before=back) == 1
    assert misses() == [(CronMissCause.STOPPED, 8_639_999, "05-01 12:00:01", "08-09 11:59:59")]
    assert Cron.objects.get().due_at == back


def test_a_crash_while_times_are_made_up_loses_none_of_them(tenant: Tenant) -> None:
    make_workflow(tenant)
    add(tenant, missed=MissedPolicy.ALL)
    for since in (OUTAGE, OUTAGE + timedelta(seconds=5), OUTAGE + timedelta(seconds=10)):
        assert sync_db.run(fire_crons(since, since)) == 1
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


def test_a_tick_at_the_very_edge_of_what_was_missed_fires(tenant: Tenant) -> None:
    make_workflow(tenant)
    add(tenant)
    edge = START + 30 * MINUTE
    fire(edge, not_before=edge)
    fire(edge, not_before=edge)
    assert nominal_times() == ["2026-05-01T12:30:00Z"]
