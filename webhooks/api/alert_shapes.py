"""How rules, channels and alerts look in answers."""

from __future__ import annotations

from django.conf import settings

from engine.api.run_shapes import without_nones
from tenants.rest.errors import AnyDict
from tenants.rest.render import metadata, timestamp
from webhooks.alert_models import NotificationState
from webhooks.models import Alert, AlertChannel, AlertNotification, AlertRule, SnsTopic
from webhooks.sns.topics import ingest_url


def group_shape(channel: AlertChannel) -> AnyDict:
    return {
        "metadata": metadata(channel.id, channel.created_at, channel.updated_at),
        "emails": channel.settings["emails"],
    }


def slack_shape(channel: AlertChannel) -> AnyDict:
    return {
        "metadata": metadata(channel.id, channel.created_at, channel.updated_at),
        "tenantId": str(channel.tenant_id),
        **channel.settings,
    }


def topic_shape(topic: SnsTopic) -> AnyDict:
    return {
        "metadata": metadata(topic.id, topic.created_at, topic.updated_at),
        "tenantId": str(topic.tenant_id),
        "topicArn": topic.topic_arn,
        "ingestUrl": ingest_url(topic),
    }


def rule_shape(rule: AlertRule) -> AnyDict:
    return without_nones(
        {
            "metadata": metadata(rule.id, rule.created_at, rule.updated_at),
            "tenantId": str(rule.tenant_id),
            "name": rule.name,
            "kind": rule.kind,
            "settings": rule.settings,
            "runbook": rule.runbook,
            "channelIds": [str(each) for each in rule.channel_ids],
            "isEnabled": rule.is_enabled,
            "silencedUntil": timestamp(rule.silenced_until),
        }
    )


def channel_shape(channel: AlertChannel) -> AnyDict:
    told = channel.settings
    return without_nones(
        {
            "metadata": metadata(channel.id, channel.created_at, channel.updated_at),
            "tenantId": str(channel.tenant_id),
            "name": channel.name,
            "kind": channel.kind,
            "emails": told.get("emails"),
            "teamName": told.get("teamName") or None,
            "channelName": told.get("channelName") or None,
            "topicArn": told.get("topicArn"),
            "accessKeyId": told.get("accessKeyId"),
            "isPaused": channel.is_paused,
            "failingSince": timestamp(channel.failing_since),
            "lastError": channel.last_error or None,
            "lastDeliveredAt": timestamp(channel.last_delivered_at),
        }
    )


def alert_shape(alert: Alert, slug: str) -> AnyDict:
    return without_nones(
        {
            "metadata": metadata(alert.id, alert.opened_at, alert.last_seen_at),
            "tenantId": str(alert.tenant_id),
            "ruleId": None if alert.rule_id is None else str(alert.rule_id),
            "ruleName": alert.rule_name,
            "kind": alert.kind,
            "title": alert.title,
            "text": alert.text,
            "url": f"{settings.HATCHET.server_url}/t/{slug}/alerts/{alert.id}",
            "runbook": alert.runbook,
            "count": alert.count,
            "openedAt": timestamp(alert.opened_at),
            "lastSeenAt": timestamp(alert.last_seen_at),
            "acknowledgedAt": timestamp(alert.acknowledged_at),
            "acknowledgedBy": alert.acknowledged_by or None,
            "silencedUntil": timestamp(alert.silenced_until),
            "resolvedAt": timestamp(alert.resolved_at),
            "lastNotifiedAt": timestamp(alert.last_notified_at),
        }
    )


def notification_shape(sent: AlertNotification) -> AnyDict:
    is_pending = sent.state == NotificationState.PENDING
    return without_nones(
        {
            "channelId": None if sent.channel_id is None else str(sent.channel_id),
            "address": sent.address or None,
            "event": sent.event,
            "state": sent.state,
            "tries": sent.tries,
            "status": sent.status,
            "error": sent.error or None,
            "createdAt": timestamp(sent.created_at),
            "nextAttemptAt": timestamp(sent.due_at) if is_pending else None,
            "finishedAt": timestamp(sent.finished_at),
        }
    )
