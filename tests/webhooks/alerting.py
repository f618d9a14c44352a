"""Rules, channels and alerts of tests, made as people make them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from engine.store import sync_db
from tenants.models import Tenant
from webhooks.alerts import look, store
from webhooks.alerts.changes import NewRule, create_rule
from webhooks.alerts.channel_changes import Emails, PagerDuty, Slack, Sns, Way, create_channel
from webhooks.alerts.kinds import NO_WORKER, RUNS
from webhooks.models import Alert, AlertChannel, AlertNotification, AlertRule, FailedRuns
from webhooks.sns.topics import create_topic

ARN = "arn:aws:sns:eu-west-1:123456789012:alerts"
ROUTING_KEY = "0123456789abcdef0123456789ABCDEF"
SLACK_URL = "https://hooks.slack.example/services/T0/B0/secret"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
KEY_ID = "AKIAIOSFODNN7EXAMPLE"


def make_rule(tenant: Tenant, kind: str = RUNS, **given: Any) -> AlertRule:
    settings = given.pop("settings", {"threshold": 0} if kind == RUNS else {})
    new = NewRule(name=given.pop("name", "A rule"), kind=kind, settings=settings, **given)
    return create_rule(tenant.id, new, datetime.now(UTC) - timedelta(seconds=1))


def make_channel(tenant: Tenant, way: Way | None = None, name: str = "") -> AlertChannel:
    return create_channel(tenant.id, name, way or slack(), datetime.now(UTC))


def slack(url: str = SLACK_URL) -> Slack:
    return Slack(url=url)


def pager() -> PagerDuty:
    return PagerDuty(routing_key=ROUTING_KEY)


def topic(arn: str = ARN) -> Sns:
    return Sns(topic_arn=arn, access_key_id=KEY_ID, secret_access_key=SECRET_KEY)


def group(*emails: str) -> Emails:
    return Emails(emails=emails)


def look_at(rule: AlertRule, now: datetime | None = None) -> int:
    """Look at one rule, whether that is due or not."""
    row = store.RuleRow(
        rule.id,
        rule.tenant_id,
        rule.tenant.slug,
        rule.name,
        rule.kind,
        _text(rule.settings),
        rule.runbook,
    )
    return sync_db.run(look.look_at_rule(row, now or datetime.now(UTC)))


def tell(now: datetime | None = None, *, mails: bool = False) -> int:
    telling = look.tell(
        100, now or datetime.now(UTC), mails=mails, server_url="http://hatchet.test:8080"
    )
    return sync_db.run(telling)


def open_alert(tenant: Tenant, now: datetime | None = None, **given: Any) -> Alert:
    """An alert of a rule of its own that finds the run there is."""
    rule = make_rule(tenant, **given)
    assert look_at(rule, now) == 1
    return Alert.objects.get(rule_id=rule.id)


def told(alert: Alert) -> Sequence[tuple[str, str]]:
    """Who is told what of an alert, in order: the kind of channel or the address, and the event."""
    kinds = {channel.id: channel.kind for channel in AlertChannel.objects.all()}
    sent = AlertNotification.objects.filter(alert_id=alert.id).order_by("id")
    return [(one.address or kinds[one.channel_id], one.event) for one in sent]  # type: ignore[index]


def make_one_of_each(tenant: Tenant) -> dict[str, str]:
    """An alert of a run that is there, and all that belongs to alerts, by the names of their places in paths."""
    now = datetime.now(UTC)
    first, second = make_channel(tenant, group("ops@acme.test")), make_channel(tenant)
    alert = open_alert(tenant, name="Runs")
    tell()
    FailedRuns.objects.create(
        tenant_id=tenant.id, workflow_id=tenant.id, run_id=tenant.id, count=1, at=now
    )
    return {
        "group": str(first.id),
        "slack": str(second.id),
        "channel": str(make_channel(tenant, pager()).id),
        "rule": str(make_rule(tenant, NO_WORKER, name="Lonely").id),
        "alert": str(alert.id),
        "sns": str(create_topic(tenant.id, ARN, now).id),
    }


def _text(settings: dict[str, Any]) -> str:
    return orjson.dumps(settings).decode()
