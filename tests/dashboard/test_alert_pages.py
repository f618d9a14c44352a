"""Pages of alerts: what is wrong, rules, channels, and what the tenant itself is alerted of."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from engine.alerting_config import SlackConfig
from engine.states import Status
from tenants.models import Tenant
from tests.dashboard import factories
from tests.webhooks.alerting import (
    ARN,
    KEY_ID,
    ROUTING_KEY,
    SECRET_KEY,
    SLACK_URL,
    group,
    make_channel,
    make_rule,
    open_alert,
    pager,
    tell,
)
from webhooks.alerts import changes
from webhooks.alerts.channel_changes import try_channel
from webhooks.encryption import decrypt
from webhooks.models import Alert, AlertChannel, AlertNotification, AlertRule

MAX_QUERIES = 8


@pytest.fixture
def url(tenant: Tenant) -> str:
    return f"/t/{tenant.slug}/alerts"


def page(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def wrong(tenant: Tenant, **given: Any) -> Alert:
    """An alert, of a run that is there."""
    version = factories.make_version(tenant)
    factories.make_run(version, Status.FAILED)
    return open_alert(tenant, **given)


def test_the_list_shows_what_is_open_and_what_has_ended(
    viewer: Client,
    tenant: Tenant,
    url: str,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    assert "Nothing is wrong" in page(viewer, url)
    ended = wrong(tenant, name="<b>ended</b>")
    changes.delete_rule(AlertRule.objects.get(), datetime.now(UTC))
    for number in range(3):
        open_alert(tenant, name=f"open {number}")
    with django_assert_max_num_queries(MAX_QUERIES):
        text = page(viewer, url)
    assert text.count("Open</span>") == 3
    assert str(ended.id) not in text
    raw = viewer.get(f"{url}?show=ended").content.decode()
    assert str(ended.id) in raw
    assert "<b>ended" not in raw
    assert "Acknowledge" not in text


def test_an_alert_says_what_to_do_and_who_was_told(
    member: Client, tenant: Tenant, url: str
) -> None:
    make_channel(tenant, pager(), "On call")
    alert = wrong(tenant, runbook="Read https://wiki.acme.test/<runs>")
    tell()
    text = page(member, f"{url}/{alert.id}")
    assert 'href="https://wiki.acme.test/' in text
    assert "On call" in text
    assert f"/t/{tenant.slug}/runs?" in text
    member.post(f"{url}/{alert.id}/acknowledge")
    alert.refresh_from_db()
    assert alert.acknowledged_at is not None
    text = page(member, f"{url}/{alert.id}")
    assert f"by {alert.acknowledged_by}" in text
    member.post(f"{url}/{alert.id}/silence", {"seconds": "3600"})
    alert.refresh_from_db()
    assert alert.silenced_until is not None
    assert "End the silence" in page(member, f"{url}/{alert.id}")
    member.post(f"{url}/{alert.id}/silence", {"seconds": "99999999999999"})
    alert.refresh_from_db()
    assert alert.silenced_until is None


def test_what_ended_meanwhile_is_said(member: Client, tenant: Tenant, url: str) -> None:
    alert = wrong(tenant)
    changes.delete_rule(AlertRule.objects.get(), datetime.now(UTC))
    answer = member.post(f"{url}/{alert.id}/acknowledge", follow=True)
    assert "This alert has ended." in unescape(answer.content.decode())
    assert "Ended" in page(member, f"{url}/{alert.id}/live")


def test_a_rule_is_made_from_the_page_alone(member: Client, tenant: Tenant, url: str) -> None:
    version = factories.make_version(tenant)
    channel = make_channel(tenant)
    assert "kind=RUNS" in page(member, f"{url}/rules/new")
    form = page(member, f"{url}/rules/new?kind=RUNS")
    assert "More runs than" in form
    fields = {
        "name": "Many failed",
        "threshold": "5",
        "windowSeconds": "600",
        "status": ["FAILED"],
        "workflow": [str(version.workflow_id)],
        "runbook": "Call somebody",
        "channel": [str(channel.id)],
        "enabled": "yes",
    }
    assert member.post(f"{url}/rules/new?kind=RUNS", fields).status_code == 302
    rule = AlertRule.objects.get()
    assert rule.settings == {
        "threshold": 5,
        "windowSeconds": 600,
        "statuses": ["FAILED"],
        "workflowIds": [str(version.workflow_id)],
    }
    assert (rule.channel_ids, rule.runbook) == ([channel.id], "Call somebody")
    assert "Many failed" in page(member, f"{url}/rules")
    assert 'value="600"' in page(member, f"{url}/rules/{rule.id}").replace("\n", " ")
    changed = fields | {"threshold": "7", "enabled": ""}
    assert member.post(f"{url}/rules/{rule.id}/change", changed).status_code == 302
    rule.refresh_from_db()
    assert (rule.settings["threshold"], rule.is_enabled) == (7, False)
    member.post(f"{url}/rules/{rule.id}/silence", {"seconds": "3600"})
    rule.refresh_from_db()
    assert rule.silenced_until is not None
    assert member.get(f"{url}/rules/{rule.id}/delete").status_code == 200
    member.post(f"{url}/rules/{rule.id}/delete")
    assert not AlertRule.objects.exists()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": ""}, "Name must be 1 to 200 characters"),
        ({"threshold": ""}, '"More runs than" must be a whole number'),
        ({"threshold": "9" * 5_000}, '"More runs than" must be a whole number'),
        ({"threshold": "\N{ARABIC-INDIC DIGIT FIVE}"}, '"More runs than" must be a whole number'),
        ({"windowSeconds": "1"}, '"Triggered within the last seconds" must be a whole number'),
        ({"status": ["LOST"]}, "Statuses must be some of"),
        ({"runbook": "x" * 4_001}, "Runbook must have at most"),
        ({"channel": ["707d0855-80ab-4e1f-a156-f1c4546cbf52"]}, "ChannelIds must be channels"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_and_kept_in_the_form(
    member: Client, url: str, fields: dict[str, Any], sentence: str
) -> None:
    given = {"name": "typed", "threshold": "5", "windowSeconds": "600", "enabled": "yes"} | fields
    answer = member.post(f"{url}/rules/new?kind=RUNS", given)
    assert answer.status_code == 422
    text = unescape(answer.content.decode())
    assert sentence in text
    assert given["name"] in text
    assert not AlertRule.objects.exists()


CHANNELS = {
    "SLACK": ({"secret": SLACK_URL}, SLACK_URL),
    "PAGERDUTY": ({"secret": ROUTING_KEY}, ROUTING_KEY),
    "SNS": ({"topic_arn": ARN, "access_key_id": KEY_ID, "secret": SECRET_KEY}, SECRET_KEY),
    "EMAIL": ({"emails": "a@acme.test, b@acme.test\nc@acme.test"}, ""),
}


@pytest.mark.parametrize("kind", CHANNELS)
def test_a_channel_is_made_tried_changed_and_deleted(admin: Client, url: str, kind: str) -> None:
    fields, secret = CHANNELS[kind]
    assert admin.get(f"{url}/channels/new?kind={kind}").status_code == 200
    assert (
        admin.post(f"{url}/channels/new?kind={kind}", fields | {"name": "Ours"}).status_code == 302
    )
    channel = AlertChannel.objects.get()
    assert (decrypt(bytes(channel.secret)) if secret else "") == secret
    assert channel.settings.get("emails", []) == (
        ["a@acme.test", "b@acme.test", "c@acme.test"] if kind == "EMAIL" else []
    )
    admin.post(f"{url}/channels/{channel.id}/test")
    assert AlertNotification.objects.count() == (3 if kind == "EMAIL" else 1)
    shown = page(admin, f"{url}/channels") + page(admin, f"{url}/channels/{channel.id}")
    assert "Ours" in shown
    assert not secret or secret not in shown
    change = {"name": "Theirs", "emails": "d@acme.test", "paused": "yes"}
    admin.post(f"{url}/channels/{channel.id}", change)
    channel.refresh_from_db()
    assert (channel.name, channel.is_paused) == ("Theirs", True)
    assert admin.get(f"{url}/channels/{channel.id}/delete").status_code == 200
    admin.post(f"{url}/channels/{channel.id}/delete")
    assert not AlertChannel.objects.exists()


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("SLACK", {"secret": "http://127.0.0.1/"}),
        ("PAGERDUTY", {"secret": "short"}),
        ("SNS", {"topic_arn": "arn", "access_key_id": KEY_ID, "secret": SECRET_KEY}),
        ("EMAIL", {"emails": ""}),
        ("EMAIL", {"emails": "nobody"}),
    ],
)
def test_what_is_wrong_with_a_channel_is_said_without_its_secret(
    admin: Client, url: str, kind: str, fields: dict[str, str]
) -> None:
    answer = admin.post(f"{url}/channels/new?kind={kind}", fields)
    assert answer.status_code == 422
    assert b'role="alert"' in answer.content
    if secret := fields.get("secret"):
        assert secret not in unescape(answer.content.decode())
    assert not AlertChannel.objects.exists()


def test_there_is_no_other_kind_of_channel(admin: Client, url: str) -> None:
    assert admin.get(f"{url}/channels/new?kind=PIGEON").status_code == 404


def test_a_channel_that_fails_says_so(viewer: Client, tenant: Tenant, url: str) -> None:
    channel = make_channel(tenant, group("ops@acme.test"))
    try_channel(channel, datetime.now(UTC))
    AlertNotification.objects.update(state="FAILED", tries=10)
    AlertChannel.objects.update(
        failing_since=datetime.now(UTC) - timedelta(hours=1), last_error="answered 500"
    )
    text = page(viewer, f"{url}/channels")
    for words in ("Failing", "answered 500", "Given up"):
        assert words in text
    assert "Send a test" not in text


def test_slack_is_offered_where_there_is_an_app(
    owner: Client, tenant: Tenant, url: str, settings: Settings
) -> None:
    assert "Add to Slack" not in page(owner, f"{url}/channels")
    app = SlackConfig(client_id="c", client_secret="s", scopes=("a",), url="https://slack.example")
    here = settings.HATCHET
    settings.HATCHET = replace(here, alerting=replace(here.alerting, slack=app))
    assert f"/api/v1/tenants/{tenant.id}/slack/start" in page(owner, f"{url}/channels")


def test_what_the_tenant_is_alerted_of_is_saved(member: Client, tenant: Tenant, url: str) -> None:
    fields = {"failures": "yes", "limits": "yes", "frequency": "900"}
    assert member.post(f"{url}/settings", fields).status_code == 302
    tenant.refresh_from_db()
    assert (tenant.alerts_of_failures, tenant.alerts_of_limits) == (True, True)
    assert (tenant.alerts_of_tokens, tenant.alerts_members) == (False, False)
    assert tenant.alert_frequency_seconds == 900
    for frequency in ("1", "x", "9" * 400):
        answer = member.post(f"{url}/settings", fields | {"frequency": frequency})
        assert answer.status_code == 422
    tenant.refresh_from_db()
    assert tenant.alert_frequency_seconds == 900


def test_somebody_elses_are_not_found(owner: Client, url: str) -> None:
    elsewhere = factories.make_tenant("Elsewhere")
    rule, channel = make_rule(elsewhere), make_channel(elsewhere)
    for path in (f"rules/{rule.id}", f"channels/{channel.id}", f"channels/{channel.id}/delete"):
        assert owner.get(f"{url}/{path}").status_code == 404
    assert owner.post(f"{url}/channels/{channel.id}/test").status_code == 404
