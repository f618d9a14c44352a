"""Paths of alerts: rules, channels, and what is wrong; mail groups, Slack and SNS as the contract has them."""

from __future__ import annotations

from django.urls import URLPattern

from engine.api.url_parts import ST, T, get, post
from tenants.audit.declared import DATA_PLANE, Acts, Changes
from tenants.rest.schema import Operation, route
from webhooks.api import alert_channels, alert_groups, alerts, slack, sns
from webhooks.api.alert_answers import (
    Alert,
    AlertChannel,
    AlertChannelList,
    AlertList,
    AlertNotificationList,
    AlertRule,
    AlertRuleList,
    ListSlackWebhooks,
    ListSNSIntegrations,
    SNSIntegration,
    TenantAlertEmailGroup,
    TenantAlertEmailGroupList,
)

_RULE = f"{ST}/alert-rules/<str:rule>"
_CHANNEL = f"{ST}/alert-channels/<str:channel>"
_ALERT = f"{ST}/alerts/<str:alert>"


def _mail_groups() -> list[URLPattern]:
    return [
        route(
            f"{T}/alerting-email-groups",
            alert_groups.GroupListView,
            get("alert-email-group:list", TenantAlertEmailGroupList),
            Operation(
                "POST",
                "alert-email-group:create",
                TenantAlertEmailGroup,
                status=201,
                audits=Changes("alert_channel.create"),
            ),
        ),
        route(
            "api/v1/alerting-email-groups/<str:group>",
            alert_groups.GroupView,
            Operation(
                "PATCH",
                "alert-email-group:update",
                TenantAlertEmailGroup,
                audits=Changes("alert_channel.update"),
            ),
            Operation(
                "DELETE", "alert-email-group:delete", None, audits=Changes("alert_channel.delete")
            ),
        ),
    ]


def _slack() -> list[URLPattern]:
    return [
        route(f"{T}/slack", slack.SlackListView, get("slack-webhook:list", ListSlackWebhooks)),
        route(
            "api/v1/slack/<str:slack>",
            slack.SlackView,
            Operation(
                "DELETE", "slack-webhook:delete", None, audits=Changes("alert_channel.delete")
            ),
        ),
        route(
            f"{T}/slack/start",
            slack.SlackStartView,
            Operation("GET", "user:update:slack-oauth-start", None, status=302),
        ),
        route(
            "api/v1/users/slack/callback",
            slack.SlackCallbackView,
            Operation(
                "GET",
                "user:update:slack-oauth-callback",
                None,
                status=302,
                audits=Changes("alert_channel.create"),
            ),
        ),
    ]


def _sns() -> list[URLPattern]:
    return [
        route(
            f"{T}/sns",
            sns.TopicListView,
            get("sns:list", ListSNSIntegrations),
            Operation(
                "POST",
                "sns:create",
                SNSIntegration,
                status=201,
                audits=Changes("sns_topic.create"),
            ),
        ),
        route(
            "api/v1/sns/<str:sns>",
            sns.TopicView,
            Operation("DELETE", "sns:delete", None, audits=Changes("sns_topic.delete")),
        ),
        route(
            "api/v1/sns/<str:tenant>/<str:event>",
            sns.IngestView,
            Operation(
                "POST",
                "sns:update",
                None,
                is_public=True,
                status=200,
                takes_any_body=True,
                audits=DATA_PLANE,
            ),
        ),
    ]


urlpatterns: list[URLPattern] = [
    *_mail_groups(),
    *_slack(),
    *_sns(),
    route(
        f"{ST}/alert-rules",
        alerts.RuleListView,
        get("alert-rule:list", AlertRuleList),
        post("alert-rule:create", AlertRule, Changes("alert_rule.create")),
    ),
    route(
        _RULE,
        alerts.RuleView,
        get("alert-rule:get", AlertRule),
        Operation("PATCH", "alert-rule:update", AlertRule, audits=Changes("alert_rule.update")),
        Operation("DELETE", "alert-rule:delete", AlertRule, audits=Changes("alert_rule.delete")),
    ),
    route(
        f"{_RULE}/silence",
        alerts.SilenceRuleView,
        post("alert-rule:silence", AlertRule, Changes("alert_rule.silence")),
    ),
    route(
        f"{ST}/alert-channels",
        alert_channels.ChannelListView,
        get("alert-channel:list", AlertChannelList),
        post("alert-channel:create", AlertChannel, Changes("alert_channel.create")),
    ),
    route(
        _CHANNEL,
        alert_channels.ChannelView,
        get("alert-channel:get", AlertChannel),
        Operation(
            "PATCH", "alert-channel:update", AlertChannel, audits=Changes("alert_channel.update")
        ),
        Operation(
            "DELETE", "alert-channel:delete", AlertChannel, audits=Changes("alert_channel.delete")
        ),
    ),
    route(
        f"{_CHANNEL}/test",
        alert_channels.TryChannelView,
        post("alert-channel:test", AlertChannel, Acts("alert_channel.test")),
    ),
    route(
        f"{_CHANNEL}/notifications",
        alert_channels.ChannelNotificationsView,
        get("alert-channel:notifications:list", AlertNotificationList),
    ),
    route(f"{ST}/alerts", alerts.AlertListView, get("alert:list", AlertList)),
    route(_ALERT, alerts.AlertView, get("alert:get", Alert)),
    route(
        f"{_ALERT}/acknowledge",
        alerts.AcknowledgeView,
        post("alert:acknowledge", Alert, Acts("alert.acknowledge")),
    ),
    route(
        f"{_ALERT}/silence",
        alerts.SilenceAlertView,
        post("alert:silence", Alert, Acts("alert.silence")),
    ),
    route(
        f"{_ALERT}/notifications",
        alerts.AlertNotificationsView,
        get("alert:notifications:list", AlertNotificationList),
    ),
]
