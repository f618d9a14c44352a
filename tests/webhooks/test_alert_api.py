"""Rules, channels and alerts over REST: what is right is kept, what is wrong is refused before anything is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from tenants.models import AuditEntry, Tenant
from tests.api.client import ApiClient
from tests.api.factories import make_workflow, start_run
from tests.cast import Cast
from tests.webhooks.alerting import (
    ARN,
    KEY_ID,
    ROUTING_KEY,
    SECRET_KEY,
    SLACK_URL,
    make_channel,
    open_alert,
    pager,
    slack,
    tell,
)
from webhooks.alerts import changes, channel_changes
from webhooks.encryption import decrypt
from webhooks.models import AlertChannel, AlertNotification, AlertRule, SnsTopic

V = "/api/v1"


@pytest.fixture
def at(cast: Cast) -> str:
    return f"{V}/stable/tenants/{cast.tenant.id}"


@pytest.fixture
def tenant_at(cast: Cast) -> str:
    return f"{V}/tenants/{cast.tenant.id}"


def test_a_rule_is_made_changed_silenced_and_deleted(api: ApiClient, cast: Cast, at: str) -> None:
    workflow = str(make_workflow(cast.tenant).workflow_id)
    body = {
        "name": "Many failed",
        "kind": "RUNS",
        "settings": {"threshold": 5, "statuses": ["FAILED"], "workflowIds": [workflow]},
        "runbook": "https://wiki.acme.test/runs",
    }
    made = api.post(f"{at}/alert-rules", body)
    assert made.status == 200, made.json
    rule_at = f"{at}/alert-rules/{made.json['metadata']['id']}"
    assert made.json["settings"] == {
        "threshold": 5,
        "windowSeconds": 3_600,
        "statuses": ["FAILED"],
        "workflowIds": [workflow],
    }
    channel = make_channel(cast.tenant)
    change = {"settings": {"threshold": 7}, "channelIds": [str(channel.id)], "isEnabled": False}
    changed = api.patch(rule_at, change).json
    assert changed["settings"]["threshold"] == 7
    assert changed["settings"]["statuses"] == []
    assert (changed["channelIds"], changed["isEnabled"]) == ([str(channel.id)], False)
    assert changed["runbook"] == body["runbook"]
    assert "silencedUntil" in api.post(f"{rule_at}/silence", {"seconds": 60}).json
    assert "silencedUntil" not in api.post(f"{rule_at}/silence", {"seconds": 0}).json
    [row] = api.get(f"{at}/alert-rules").json["rows"]
    assert row == api.get(rule_at).json
    assert api.delete(rule_at).status == 200
    assert api.get(rule_at).status == 404
    actions = AuditEntry.objects.filter(tenant_id=cast.tenant.id, resource_kind="alert_rule")
    assert list(actions.order_by("id").values_list("action", flat=True)) == [
        *("alert_rule.create", "alert_rule.update", "alert_rule.silence", "alert_rule.silence"),
        "alert_rule.delete",
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "x" * 201},
        {"name": "two\nlines"},
        {"name": "NUL\0"},
        {"kind": "FAILURES"},
        {"settings": {}},
        {"settings": {"threshold": -1}},
        {"settings": {"threshold": 10**400}},
        {"settings": {"threshold": 1, "seconds": 60}},
        {"settings": {"threshold": 1, "statuses": ["LOST"]}},
        {"settings": {"threshold": 1, "workflowIds": [str(uuid4())]}},
        {"settings": {"threshold": 1, "workflowIds": ["x"]}},
        {"settings": []},
        {"runbook": "x" * 4_001},
        {"runbook": "NUL\0"},
        {"channelIds": [str(uuid4())]},
        {"channelIds": [str(uuid4())] * 2_000},
        {"isEnabled": "yes"},
    ],
)
def test_wrong_rules_are_refused(api: ApiClient, at: str, wrong: dict[str, Any]) -> None:
    body = {"name": "Many", "kind": "RUNS", "settings": {"threshold": 1}} | wrong
    answer = api.post(f"{at}/alert-rules", body)
    assert answer.status == 400, answer.json
    assert not AlertRule.objects.exists()


def test_workflows_and_channels_of_another_tenant_are_refused(
    api: ApiClient, cast: Cast, at: str
) -> None:
    foreign = str(make_workflow(cast.other_tenant).workflow_id)
    channel = str(make_channel(cast.other_tenant).id)
    for wrong in (
        {"settings": {"threshold": 1, "workflowIds": [foreign]}},
        {"channelIds": [channel]},
    ):
        body = {"name": "Many", "kind": "RUNS", "settings": {"threshold": 1}} | wrong
        assert api.post(f"{at}/alert-rules", body).status == 400
    assert api.get(f"{at}/alert-channels/{channel}").status == 404


def test_a_name_is_one_rules_and_rules_have_a_bound(
    api: ApiClient, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"name": "Lonely", "kind": "NO_WORKER"}
    assert api.post(f"{at}/alert-rules", body).status == 200
    assert api.post(f"{at}/alert-rules", body).status == 409
    monkeypatch.setattr(changes, "MOST_RULES", 1)
    assert api.post(f"{at}/alert-rules", body | {"name": "Other"}).status == 400


CHANNELS: dict[str, tuple[dict[str, Any], str]] = {
    "SLACK": ({"slack": {"url": SLACK_URL}}, SLACK_URL),
    "PAGERDUTY": ({"pagerDuty": {"routingKey": ROUTING_KEY}}, ROUTING_KEY),
    "SNS": (
        {"sns": {"topicArn": ARN, "accessKeyId": KEY_ID, "secretAccessKey": SECRET_KEY}},
        SECRET_KEY,
    ),
    "EMAIL": ({"emails": ["Ops@acme.test", "ops@acme.test"]}, ""),
}


@pytest.mark.parametrize("kind", CHANNELS)
def test_a_channel_is_made_and_its_secret_never_shown(
    api: ApiClient, cast: Cast, at: str, kind: str
) -> None:
    body, secret = CHANNELS[kind]
    made = api.post(f"{at}/alert-channels", body)
    assert (made.status, made.json["kind"]) == (200, kind)
    channel = AlertChannel.objects.get()
    kept = bytes(channel.secret)
    assert (decrypt(kept) if kept else "") == secret
    channel_at = f"{at}/alert-channels/{channel.id}"
    changed = api.patch(channel_at, {"name": "Ours", "isPaused": True})
    assert (changed.json["name"], changed.json["isPaused"]) == ("Ours", True)
    shown = [made, changed, api.get(channel_at), api.get(f"{at}/alert-channels")]
    told = "".join(str(entry.after) for entry in AuditEntry.objects.all())
    if secret:
        assert all(secret.encode() not in answer.content for answer in shown)
        assert secret not in told
        assert secret.encode() not in kept
    assert api.delete(channel_at).status == 200
    assert not AlertChannel.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"slack": {"url": SLACK_URL}, "emails": ["a@acme.test"]},
        {"slack": {"url": "http://127.0.0.1/"}},
        {"slack": {"url": "http://169.254.169.254/latest"}},
        {"slack": {"url": "file:///etc/passwd"}},
        {"slack": {"url": "https://hooks.slack.com/" + "x" * 3_000}},
        {"slack": {}},
        {"pagerDuty": {"routingKey": "short"}},
        {"pagerDuty": {"routingKey": ROUTING_KEY[:-1] + "\n"}},
        {"sns": {"topicArn": ARN, "accessKeyId": KEY_ID}},
        {"sns": {"topicArn": "arn:aws:sns:x", "accessKeyId": KEY_ID, "secretAccessKey": "s" * 40}},
        {"sns": {"topicArn": ARN, "accessKeyId": "a b", "secretAccessKey": "s" * 40}},
        {"emails": []},
        {"emails": ["nobody"]},
        {"emails": ["a@acme.test\nBcc: b@acme.test"]},
        {"emails": [7]},
        {"emails": "a@acme.test"},
        {"emails": [f"a{n}@acme.test" for n in range(51)]},
        {"emails": ["a@acme.test"], "name": "x" * 201},
    ],
)
def test_wrong_channels_are_refused(api: ApiClient, at: str, wrong: dict[str, Any]) -> None:
    answer = api.post(f"{at}/alert-channels", wrong)
    assert answer.status == 400, answer.json
    assert not AlertChannel.objects.exists()


def test_topics_need_what_signs_for_them(
    api: ApiClient, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_changes, "can_sign", lambda: False)
    answer = api.post(f"{at}/alert-channels", CHANNELS["SNS"][0])
    assert answer.status == 409
    assert "requirements-aws.txt" in answer.error
    assert not AlertChannel.objects.exists()


def test_channels_have_a_bound(api: ApiClient, at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_changes, "MOST_CHANNELS", 1)
    body = {"emails": ["a@acme.test"]}
    assert [api.post(f"{at}/alert-channels", body).status for _ in range(2)] == [200, 400]


def test_a_channel_is_tried_and_its_messages_are_listed(
    api: ApiClient, cast: Cast, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = make_channel(cast.tenant, pager())
    channel_at = f"{at}/alert-channels/{channel.id}"
    assert api.post(f"{channel_at}/test").status == 200
    [sent] = api.get(f"{channel_at}/notifications").json["rows"]
    assert (sent["event"], sent["state"], sent["tries"]) == ("TEST", "PENDING", 0)
    monkeypatch.setattr(channel_changes, "MOST_WAITING_TESTS", 1)
    assert api.post(f"{channel_at}/test").status == 409
    api.patch(channel_at, {"isPaused": True})
    assert api.post(f"{channel_at}/test").status == 409
    assert not AlertNotification.objects.exists()


def test_alerts_are_listed_acknowledged_and_silenced(cast: Cast, at: str) -> None:
    make_workflow(cast.tenant)
    start_run(cast.tenant)
    channel = make_channel(cast.tenant)
    alert = open_alert(cast.tenant, runbook="Call")
    tell()
    member = ApiClient(user=cast.member)
    alert_at = f"{at}/alerts/{alert.id}"
    [row] = member.get(f"{at}/alerts", {"states": "OPEN"}).json["rows"]
    assert row == member.get(alert_at).json
    assert (row["runbook"], row["count"]) == ("Call", 1)
    assert row["url"] == f"http://hatchet.test:8080/t/acme/alerts/{alert.id}"
    assert member.get(f"{at}/alerts", {"states": "RESOLVED"}).json["rows"] == []
    assert len(member.get(f"{at}/alerts", {"states": ["OPEN", "RESOLVED"]}).json["rows"]) == 1
    [sent] = member.get(f"{alert_at}/notifications").json["rows"]
    assert (sent["channelId"], sent["event"]) == (str(channel.id), "OPENED")
    assert "silencedUntil" in member.post(f"{alert_at}/silence", {"seconds": 60}).json
    assert member.post(f"{alert_at}/silence", {"seconds": 10**9}).status == 400
    acknowledged = member.post(f"{alert_at}/acknowledge").json
    assert acknowledged["acknowledgedBy"] == cast.member.email
    assert ApiClient(user=cast.viewer).post(f"{alert_at}/acknowledge").status == 401
    changes.delete_rule(AlertRule.objects.get(), datetime.now(UTC))
    assert member.post(f"{alert_at}/acknowledge").status == 409
    assert ApiClient(user=cast.stranger).get(alert_at).status == 401


def test_mail_groups_as_the_contract_has_them(api: ApiClient, cast: Cast, tenant_at: str) -> None:
    groups = f"{tenant_at}/alerting-email-groups"
    made = api.post(groups, {"emails": ["ops@acme.test"]})
    assert (made.status, made.json["emails"]) == (201, ["ops@acme.test"])
    group_at = f"{V}/alerting-email-groups/{made.json['metadata']['id']}"
    changed = api.patch(group_at, {"emails": ["others@acme.test"]})
    assert (changed.status, changed.json["emails"]) == (200, ["others@acme.test"])
    assert api.patch(group_at, {"emails": []}).status == 400
    assert api.patch(group_at, {"emails": ["x"] * 100_000}).status == 400
    [row] = api.get(groups).json["rows"]
    assert row["emails"] == ["others@acme.test"]
    assert ApiClient(user=cast.stranger).delete(group_at).status == 401
    other = make_channel(cast.tenant, slack())
    assert api.delete(f"{V}/alerting-email-groups/{other.id}").status == 404
    assert api.delete(group_at).status == 204
    assert api.get(groups).json["rows"] == []


def test_topics_as_the_contract_has_them(api: ApiClient, cast: Cast, tenant_at: str) -> None:
    made = api.post(f"{tenant_at}/sns", {"topicArn": ARN})
    assert (made.status, made.json["topicArn"]) == (201, ARN)
    assert made.json["ingestUrl"] == f"http://hatchet.test:8080/api/v1/sns/{cast.tenant.id}"
    assert api.post(f"{tenant_at}/sns", {"topicArn": ARN}).status == 409
    assert api.post(f"{tenant_at}/sns", {"topicArn": "arn:aws:s3:::bucket"}).status == 400
    [row] = api.get(f"{tenant_at}/sns").json["rows"]
    assert row == made.json
    topic_at = f"{V}/sns/{row['metadata']['id']}"
    assert ApiClient(user=cast.stranger).delete(topic_at).status == 401
    assert api.delete(topic_at).status == 204
    assert not SnsTopic.objects.exists()


def test_what_the_tenant_is_alerted_of(api: ApiClient, cast: Cast, tenant_at: str) -> None:
    settings = f"{tenant_at}/alerting/settings"
    flags = {
        "alertMemberEmails": True,
        "enableWorkflowRunFailureAlerts": False,
        "enableExpiringTokenAlerts": True,
        "enableTenantResourceLimitAlerts": True,
    }
    usual = api.get(settings).json
    assert usual.items() >= {**flags, "maxAlertingFrequency": "1h"}.items()
    assert "lastAlertedAt" not in usual
    opposite = {name: not value for name, value in flags.items()}
    changed = api.patch(tenant_at, opposite | {"maxAlertingFrequency": "90m"})
    assert (changed.status, changed.json["alertMemberEmails"]) == (200, False)
    assert api.get(settings).json.items() >= {**opposite, "maxAlertingFrequency": "1h30m"}.items()
    [entry] = AuditEntry.objects.filter(action="tenant.update")
    after: Any = entry.after
    assert after["alerts_of_failures"] is True


@pytest.mark.parametrize("frequency", ["", "soon", "1s", "8d", "-1h", "1h" * 100, "9" * 30 + "h"])
def test_wrong_frequencies_change_nothing(
    api: ApiClient, cast: Cast, tenant_at: str, frequency: str
) -> None:
    body = {"enableWorkflowRunFailureAlerts": True, "maxAlertingFrequency": frequency}
    assert api.patch(tenant_at, body).status == 400
    tenant = Tenant.objects.get(id=cast.tenant.id)
    assert (tenant.alerts_of_failures, tenant.alert_frequency_seconds) == (False, 3_600)


def test_members_look_after_rules_and_admins_after_channels(cast: Cast, at: str) -> None:
    member, admin = ApiClient(user=cast.member), ApiClient(user=cast.admin)
    body = {"emails": ["a@acme.test"]}
    assert member.post(f"{at}/alert-channels", body).status == 401
    assert admin.post(f"{at}/alert-channels", body).status == 200
    rule = {"name": "Lonely", "kind": "NO_WORKER"}
    assert ApiClient(user=cast.viewer).post(f"{at}/alert-rules", rule).status == 401
    assert member.post(f"{at}/alert-rules", rule).status == 200
