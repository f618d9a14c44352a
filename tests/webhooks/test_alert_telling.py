"""Who is told of what has been found, and how often: on a clock of the test's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.errors import FailedPrecondition
from engine.store import sync_db
from tenants.models import Member, ResourceLimit, Role, Tenant
from tenants.resources import Limit, Resource
from tenants.tokens import create_token
from tests.api.client import ApiClient
from tests.api.factories import fail, make_workflow, start_run, tasks_of
from tests.cast import Cast
from tests.webhooks.alerting import (
    group,
    look_at,
    make_channel,
    make_rule,
    open_alert,
    pager,
    tell,
    told,
)
from webhooks.alerts import changes, look
from webhooks.alerts.channel_changes import delete_channel, update_channel
from webhooks.alerts.kinds import RUNS
from webhooks.models import Alert, AlertNotification, AlertRule, FailedRuns, Occurrence
from webhooks.outgoing.changes import NewEndpoint, create_endpoint

HOUR = timedelta(hours=1)


@pytest.fixture
def tenant(cast: Cast) -> Tenant:
    make_workflow(cast.tenant)
    return cast.tenant


def now() -> datetime:
    return datetime.now(UTC)


def alerts(**wanted: Any) -> list[Alert]:
    return list(Alert.objects.filter(**wanted).order_by("dedup_key"))


def test_one_thing_is_one_alert_and_told_once(tenant: Tenant) -> None:
    make_channel(tenant)
    start_run(tenant)
    alert = open_alert(tenant)
    assert tell() == 1
    rule, at = AlertRule.objects.get(), now()
    for minutes in range(1, 20):
        look_at(rule, at + timedelta(seconds=15 * minutes))
        tell(at + timedelta(seconds=15 * minutes))
    alert.refresh_from_db()
    assert told(alert) == [("SLACK", "OPENED")]
    assert alert.count == 20
    assert Tenant.objects.get(id=tenant.id).last_alerted_at is not None


def test_its_end_is_told_and_what_comes_back_soon_waits_until_it_may_be_told(
    tenant: Tenant,
) -> None:
    make_channel(tenant, pager())
    start_run(tenant)
    rule = make_rule(tenant, settings={"threshold": 0, "windowSeconds": 86_400})
    at = now()
    look_at(rule, at)
    tell(at)
    [first] = alerts()
    AlertRule.objects.update(settings=rule.settings | {"threshold": 5})
    rule.refresh_from_db()
    look_at(rule, at + timedelta(minutes=1))
    tell(at + timedelta(minutes=1))
    assert told(first) == [("PAGERDUTY", "OPENED"), ("PAGERDUTY", "RESOLVED")]
    rule.settings["threshold"] = 0
    look_at(rule, at + timedelta(minutes=2))
    tell(at + timedelta(minutes=2))
    [again] = alerts(resolved_at=None)
    assert told(again) == []
    tell(at + timedelta(minutes=62))
    assert told(again) == [("PAGERDUTY", "OPENED")]


def test_what_ended_before_anybody_was_told_is_not_told(tenant: Tenant) -> None:
    make_channel(tenant)
    start_run(tenant)
    alert = open_alert(tenant)
    rule = AlertRule.objects.get()
    rule.settings["threshold"] = 5
    look_at(rule)
    tell()
    assert told(alert) == []


def test_who_acknowledges_is_told_to_those_that_share_it_and_then_only_the_end(
    tenant: Tenant,
) -> None:
    make_channel(tenant, pager())
    make_channel(tenant, group("ops@acme.test"))
    start_run(tenant)
    alert = open_alert(tenant)
    tell()
    changes.acknowledge(alert, "me@acme.test", now())
    changes.acknowledge(alert, "you@acme.test", now())
    rule = AlertRule.objects.get()
    look_at(rule)
    tell()
    rule.settings["threshold"] = 5
    look_at(rule)
    tell()
    assert alert.acknowledged_by == "me@acme.test"
    assert sorted(told(alert)) == [
        ("PAGERDUTY", "ACKNOWLEDGED"),
        ("PAGERDUTY", "OPENED"),
        ("PAGERDUTY", "RESOLVED"),
        ("ops@acme.test", "OPENED"),
        ("ops@acme.test", "RESOLVED"),
    ]


def test_an_alert_that_ended_is_neither_acknowledged_nor_silenced(tenant: Tenant) -> None:
    start_run(tenant)
    alert = open_alert(tenant)
    changes.delete_rule(AlertRule.objects.get(), now())
    with pytest.raises(FailedPrecondition, match="has ended"):
        changes.acknowledge(alert, "me", now())
    with pytest.raises(FailedPrecondition, match="has ended"):
        changes.silence_alert(alert, 60, now())


@pytest.mark.parametrize("by_rule", [True, False])
def test_what_is_silenced_is_told_when_that_is_over(tenant: Tenant, by_rule: bool) -> None:
    make_channel(tenant)
    start_run(tenant)
    alert, at = open_alert(tenant), now()
    if by_rule:
        changes.silence_rule(AlertRule.objects.get(), 7_200, at)
    else:
        changes.silence_alert(alert, 7_200, at)
    tell(at + timedelta(seconds=1))
    tell(at + HOUR)
    assert told(alert) == []
    tell(at + 2 * HOUR + timedelta(seconds=1))
    assert told(alert) == [("SLACK", "OPENED")]


@pytest.mark.parametrize("by_rule", [True, False])
def test_a_silence_may_be_ended_early(tenant: Tenant, by_rule: bool) -> None:
    make_channel(tenant)
    start_run(tenant)
    alert, at = open_alert(tenant), now()
    rule = AlertRule.objects.get()
    for seconds in (7_200, 0):
        if by_rule:
            changes.silence_rule(rule, seconds, at)
        else:
            changes.silence_alert(alert, seconds, at)
        tell(at + timedelta(seconds=1))
        at += timedelta(seconds=2)
    assert told(alert) == [("SLACK", "OPENED")]


def test_members_and_groups_get_one_mail_an_address(cast: Cast, tenant: Tenant) -> None:
    make_channel(tenant, group("Owner@acme.test", "ops@acme.test"))
    cast.viewer.is_active = False
    cast.viewer.save()
    start_run(tenant)
    alert = open_alert(tenant)
    tell(mails=True)
    assert sorted(address for address, _ in told(alert)) == [
        *("admin@acme.test", "member@acme.test", "ops@acme.test", "owner@acme.test")
    ]
    assert Member.objects.filter(tenant=tenant, role=Role.VIEWER).exists()


@pytest.mark.parametrize("why", ["switched off", "no mail", "of channels"])
def test_members_get_no_mail(tenant: Tenant, why: str) -> None:
    channel = make_channel(tenant)
    if why == "switched off":
        Tenant.objects.filter(id=tenant.id).update(alerts_members=False)
    start_run(tenant)
    alert = open_alert(tenant, channel_ids=[channel.id] if why == "of channels" else [])
    tell(mails=why != "no mail")
    assert told(alert) == [("SLACK", "OPENED")]


def test_a_rule_tells_its_own_channels(tenant: Tenant, cast: Cast) -> None:
    mine, other = make_channel(tenant), make_channel(tenant, pager())
    make_channel(cast.other_tenant)
    start_run(tenant)
    alert = open_alert(tenant, channel_ids=[mine.id])
    tell()
    assert told(alert) == [("SLACK", "OPENED")]
    delete_channel(mine)
    assert AlertRule.objects.get().channel_ids == []
    assert not AlertNotification.objects.filter(channel_id=mine.id, state="PENDING").exists()
    update_channel(other, now(), is_paused=True)
    second = open_alert(tenant, name="second")
    tell()
    assert told(second) == []


def test_endpoints_that_ask_for_it_are_told(tenant: Tenant) -> None:
    kinds = ["alert.opened", "alert.acknowledged", "alert.resolved"]
    create_endpoint(tenant.id, NewEndpoint(url="https://example.com/", kinds=kinds), now())
    start_run(tenant)
    alert = open_alert(tenant, runbook="Do it")
    tell()
    changes.acknowledge(alert, "me", now())
    rule = AlertRule.objects.get()
    rule.settings["threshold"] = 5
    look_at(rule)
    tell()
    rows = Occurrence.objects.filter(tenant_id=tenant.id, kind__startswith="alert.").order_by("id")
    assert [row.kind for row in rows] == kinds
    assert {row.subject_id for row in rows} == {alert.id}
    data: Any = rows[0].data
    assert data["url"] == f"http://hatchet.test:8080/t/acme/alerts/{alert.id}"
    assert (data["runbook"], data["ruleName"], data["kind"]) == ("Do it", "A rule", RUNS)


def test_nobody_who_does_not_ask_is_told(tenant: Tenant, cast: Cast) -> None:
    new = NewEndpoint(url="https://example.com/", kinds=["run.failed"])
    create_endpoint(tenant.id, new, now())
    wanting = NewEndpoint(url="https://example.com/", kinds=["alert.opened", "audit.recorded"])
    create_endpoint(cast.other_tenant.id, wanting, now())
    start_run(tenant)
    open_alert(tenant)
    tell()
    assert not Occurrence.objects.exclude(kind__startswith="run.").exists()


def failing(tenant: Tenant, number: int) -> None:
    for _ in range(number):
        fail(tasks_of(start_run(tenant))[0], "broken")


def digest(at: datetime) -> None:
    sync_db.run(look.look_at_failures(at))
    tell(at)


def test_failed_runs_are_noted_only_where_they_are_to_be_told_of(
    tenant: Tenant, cast: Cast
) -> None:
    failing(tenant, 1)
    Tenant.objects.filter(id=cast.other_tenant.id).update(alerts_of_failures=True)
    failing(tenant, 1)
    assert not FailedRuns.objects.exists()
    Tenant.objects.filter(id=tenant.id).update(alerts_of_failures=True)
    failing(tenant, 1)
    start_run(tenant)
    [noted] = FailedRuns.objects.all()
    assert (noted.tenant_id, noted.count) == (tenant.id, 1)
    Tenant.objects.filter(id=tenant.id).update(alerts_of_failures=False)
    digest(now())
    assert not FailedRuns.objects.exists()
    assert alerts() == []


def test_failed_runs_come_in_digests_as_often_as_the_tenant_says(tenant: Tenant) -> None:
    make_channel(tenant)
    Tenant.objects.filter(id=tenant.id).update(alerts_of_failures=True)
    at = now()
    failing(tenant, 2)
    digest(at)
    [alert] = alerts()
    assert alert.title == "2 runs failed"
    failing(tenant, 3)
    digest(at + timedelta(minutes=59))
    assert told(alert) == [("SLACK", "OPENED")]
    digest(at + timedelta(minutes=61))
    alert.refresh_from_db()
    assert (alert.title, alert.count) == ("3 runs failed", 5)
    assert told(alert) == [("SLACK", "OPENED"), ("SLACK", "REPEATED")]
    digest(at + timedelta(minutes=180))
    assert alerts(resolved_at=None) == []
    assert len(told(alert)) == 2


def test_tokens_that_expire_soon_are_told_of_once(tenant: Tenant) -> None:
    make_channel(tenant)
    token, _ = create_token(tenant, "of the worker", expires_in=timedelta(days=30))
    create_token(tenant, "short", expires_in=timedelta(days=3))
    create_token(tenant, "long", expires_in=timedelta(days=90))
    at = now()

    def look_then(days: int) -> list[Alert]:
        moment = at + timedelta(days=days)
        sync_db.run(look.look_at_tokens(moment))
        tell(moment)
        return alerts(resolved_at=None)

    assert look_then(1) == []
    [[alert], _, _] = [look_then(days) for days in (24, 25, 26)]
    assert alert.title.startswith("The API token of the worker expires on ")
    assert told(alert) == [("SLACK", "OPENED")]
    token.revoked_at = at
    token.save()
    assert look_then(27) == []
    assert len(told(alert)) == 1


ENFORCED = {
    Resource.CRON: Limit(10, 8),
    Resource.TASK_RUN: Limit(100, 80, window_seconds=86_400),
}


def used(tenant: Tenant, resource: Resource, value: int, **given: Any) -> None:
    ResourceLimit.objects.filter(tenant=tenant, resource=resource.value).delete()
    ResourceLimit.objects.create(tenant=tenant, resource=resource.value, value=value, **given)


def near(at: datetime, enforced: Any = ENFORCED) -> list[str]:
    sync_db.run(look.look_at_limits(enforced, at))
    tell(at)
    return [one.title for one in alerts(resolved_at=None)]


def test_limits_that_are_near_and_reached_are_told_of(tenant: Tenant) -> None:
    make_channel(tenant)
    at = now()
    used(tenant, Resource.CRON, 7)
    used(tenant, Resource.TASK_RUN, 90, window_began_at=at - timedelta(days=2))
    assert near(at) == []
    used(tenant, Resource.CRON, 8)
    assert near(at) == near(at) == ["The limit of crons is nearly reached"]
    used(tenant, Resource.CRON, 10)
    assert near(at) == ["The limit of crons is nearly reached", "The limit of crons is reached"]
    used(tenant, Resource.CRON, 3)
    assert near(at) == []
    assert AlertNotification.objects.filter(event="OPENED").count() == 2
    assert AlertNotification.objects.filter(event="RESOLVED").count() == 2
    used(
        tenant,
        Resource.TASK_RUN,
        90,
        window_began_at=at - HOUR,
        limit_value=1_000,
        alarm_value=90,
    )
    assert near(at) == ["The limit of task runs is nearly reached"]
    assert near(at, {}) == []


def test_a_tenant_may_not_want_to_know_of_limits(tenant: Tenant) -> None:
    used(tenant, Resource.CRON, 10)
    Tenant.objects.filter(id=tenant.id).update(alerts_of_limits=False)
    assert near(now()) == []


def test_a_tenant_may_not_want_to_know_of_tokens(tenant: Tenant) -> None:
    create_token(tenant, "of the worker", expires_in=timedelta(days=30))
    Tenant.objects.filter(id=tenant.id).update(alerts_of_tokens=False)
    sync_db.run(look.look_at_tokens(now() + timedelta(days=25)))
    assert alerts() == []


def test_a_rule_that_is_switched_off_ends_its_alerts_and_tells_nobody(tenant: Tenant) -> None:
    make_channel(tenant)
    start_run(tenant)
    alert = open_alert(tenant)
    tell()
    rule = AlertRule.objects.get()
    changes.update_rule(rule, {"is_enabled": False}, now())
    assert look_at(rule) == 0
    tell()
    assert alerts(resolved_at=None) == []
    assert told(alert) == [("SLACK", "OPENED")]


def test_the_audit_log_is_told_to_endpoints_that_ask_for_it(cast: Cast, tenant: Tenant) -> None:
    new = NewEndpoint(url="https://example.com/", kinds=["audit.recorded"])
    create_endpoint(tenant.id, new, now())
    owner = ApiClient(user=cast.owner)
    body = {"name": "Many", "kind": "NO_WORKER"}
    made = owner.post(f"/api/v1/stable/tenants/{tenant.id}/alert-rules", body).json
    [row] = Occurrence.objects.filter(kind="audit.recorded")
    assert row.subject_id == tenant.id
    data: Any = row.data
    assert (data["action"], data["actorName"]) == ("alert_rule.create", cast.owner.email)
    assert data["resourceId"] == made["metadata"]["id"]
    assert data["after"]["name"] == "Many"
