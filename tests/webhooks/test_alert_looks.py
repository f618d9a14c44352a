"""What rules find: on a clock of the test's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from engine.ids import id_at, new_id
from engine.models import Cron, EngineProcess, Lease, Task
from engine.models.timetable import CronMiss
from engine.states import CronMissCause
from engine.store import sync_db
from tenants.models import Tenant
from tests.api.factories import fail, make_worker, make_workflow, start_run, step, tasks_of
from tests.cast import Cast
from tests.webhooks.alerting import (
    look_at,
    make_channel,
    make_rule,
    open_alert,
    tell,
)
from webhooks.alerts import store
from webhooks.alerts.kinds import HEALTH, MISSED_CRON, NO_WORKER, QUEUE_AGE
from webhooks.models import Alert

HOUR = timedelta(hours=1)


@pytest.fixture
def tenant(cast: Cast) -> Tenant:
    make_workflow(cast.tenant)
    return cast.tenant


def now() -> datetime:
    return datetime.now(UTC)


def alerts(**wanted: Any) -> list[Alert]:
    return list(Alert.objects.filter(**wanted).order_by("dedup_key"))


def test_runs_over_a_number_are_found_by_state_workflow_and_time(tenant: Tenant) -> None:
    other = make_workflow(tenant, "other").workflow_id
    for name in ("greet", "greet", "other"):
        fail(tasks_of(start_run(tenant, name))[0], "broken")
    start_run(tenant)

    def finds(**settings: Any) -> bool:
        rule = make_rule(tenant, name=str(uuid4()), settings=settings)
        return look_at(rule) == 1

    assert finds(threshold=2, statuses=["FAILED"])
    assert not finds(threshold=3, statuses=["FAILED"])
    assert finds(threshold=3)
    assert finds(threshold=0, statuses=["FAILED"], workflowIds=[other])
    assert not finds(threshold=1, statuses=["FAILED"], workflowIds=[other])
    later = make_rule(tenant, settings={"threshold": 0, "windowSeconds": 60})
    assert look_at(later, now() + timedelta(minutes=3)) == 0
    assert "runs failed in 60 minutes" in Alert.objects.filter(title__contains="failed")[0].title


def test_a_queue_that_is_too_old_and_an_action_without_a_worker(tenant: Tenant) -> None:
    [task] = tasks_of(start_run(tenant))
    waits = make_rule(tenant, QUEUE_AGE, name="waits", settings={"seconds": 300})
    alone = make_rule(tenant, NO_WORKER, name="alone", settings={"seconds": 60})
    assert (look_at(waits), look_at(alone)) == (0, 0)
    later = now() + timedelta(seconds=310)
    assert (look_at(waits, later), look_at(alone, later)) == (1, 1)
    [found] = alerts(rule_id=alone.id)
    assert found.title == "No worker takes acts:greet"
    make_worker(tenant, last_heartbeat_at=later)
    assert (look_at(waits, later), look_at(alone, later)) == (1, 0)
    Task.objects.filter(id=task.id).update(is_delayed=True)
    assert look_at(waits, later) == 0
    assert alerts(resolved_at=None) == []


@pytest.mark.parametrize("lost", [{"is_active": False}, {"is_paused": True}, {"old": True}])
def test_workers_that_take_nothing_do_not_count(tenant: Tenant, lost: dict[str, Any]) -> None:
    start_run(tenant)
    rule, later = make_rule(tenant, NO_WORKER), now() + timedelta(minutes=5)
    beat = now() if lost.pop("old", False) else later
    make_worker(tenant, last_heartbeat_at=beat, **lost)
    assert look_at(rule, later) == 1


def test_every_action_and_priority_of_a_long_queue_is_found(tenant: Tenant) -> None:
    make_workflow(tenant, "many", *(step(name) for name in "abc"))
    for priority in (1, 3, 2):
        start_run(tenant, priority=priority)
        start_run(tenant, "many", priority=priority)
    query = store.waiting_actions(tenant.id, silent_since=now(), limit=1_000)
    found = {row.action_id: row.queued_at for row in sync_db.read(query)}
    assert set(found) == {"acts:greet", "acts:a", "acts:b", "acts:c"}
    oldest = Task.objects.filter(action_id="acts:greet").earliest("queued_at")
    assert found["acts:greet"] == oldest.queued_at


def test_a_cron_is_missed_until_it_fires_again(tenant: Tenant) -> None:
    make_workflow(tenant, "nightly", cron_triggers=("0 3 * * *",))
    cron, at = Cron.objects.get(tenant=tenant), now()
    rule = make_rule(tenant, MISSED_CRON)
    assert look_at(rule) == 0
    miss = CronMiss.objects.create(
        cron=cron,
        cause=CronMissCause.FAILED,
        detail="",
        count=2,
        first_at=at - HOUR,
        last_at=at,
        recorded_at=at,
    )
    assert look_at(rule) == 1
    [found] = alerts(rule_id=rule.id)
    assert "0 3 * * * of nightly was missed" in found.title
    assert "its run could not be started. 2 times" in found.text
    Cron.objects.filter(id=cron.id).update(fired_at=at + timedelta(seconds=1))
    assert look_at(rule) == 0
    Cron.objects.filter(id=cron.id).update(fired_at=None)
    CronMiss.objects.filter(id=miss.id).update(cause=CronMissCause.PAUSED)
    assert look_at(rule) == 0
    Cron.objects.filter(id=cron.id).update(due_at=at - timedelta(minutes=6))
    assert look_at(rule) == 1
    assert "overdue" in alerts(resolved_at=None)[0].text


def test_engines_that_are_silent_and_a_tenant_that_nobody_schedules(tenant: Tenant) -> None:
    rule, at = make_rule(tenant, HEALTH), now()
    look_at(rule, at)
    assert "engine:none" in alerts(resolved_at=None)[0].dedup_key
    silent = EngineProcess.objects.create(
        host="host", started_at=at - HOUR, heartbeat_at=at - timedelta(minutes=2)
    )
    Lease.objects.create(tenant=tenant, engine_id=silent.id, expires_at=at + HOUR)
    look_at(rule, at)
    titles = [one.title for one in alerts(resolved_at=None) if "engine" in one.dedup_key]
    assert titles == [f"The engine host {str(silent.id)[:8]} is silent"]


def test_rules_are_taken_when_they_are_due_and_of_living_tenants(
    tenant: Tenant, cast: Cast
) -> None:
    due = make_rule(tenant)
    make_rule(tenant, name="off", is_enabled=False)
    make_rule(cast.other_tenant)
    Tenant.objects.filter(id=cast.other_tenant.id).update(archived_at=now())
    at = now()

    def taken(moment: datetime) -> list[Any]:
        taking = store.take_rules(10, next_at=moment + HOUR, now=moment)
        return [row.id for row in sync_db.read(taking)]

    assert taken(at) == [due.id]
    assert taken(at) == []
    assert taken(at + HOUR) == [due.id]


def test_two_rules_of_one_kind_have_alerts_of_their_own(tenant: Tenant) -> None:
    start_run(tenant)
    open_alert(tenant, name="first")
    open_alert(tenant, name="second")
    assert len(alerts(resolved_at=None)) == 2


def test_what_is_old_is_swept_and_what_is_open_stays(tenant: Tenant) -> None:
    start_run(tenant)
    ended, still = open_alert(tenant, name="ended"), open_alert(tenant, name="open")
    make_channel(tenant)
    tell()
    old = now() - timedelta(days=100)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE webhooks_alert SET id = %s WHERE id = %s", [id_at(old), ended.id])
    Alert.objects.filter(id=id_at(old)).update(resolved_at=old)
    before = now() - timedelta(days=90)
    assert sync_db.read(store.sweep(id_at(before), before, 100)) == [store.Swept(1, 0)]
    assert alerts() == [still]
    later = now() + timedelta(days=91)
    [swept] = sync_db.read(store.sweep(new_id(), later - timedelta(days=90), 100))
    assert (swept.alerts, swept.notifications) == (0, 2)
