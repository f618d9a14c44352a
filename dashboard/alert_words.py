"""What pages say of alerts, of channels and of what was sent."""

from __future__ import annotations

from datetime import datetime

from dashboard.delivery_words import Words
from webhooks.alert_models import AlertEvent, ChannelKind, NotificationState
from webhooks.models import Alert, AlertChannel, AlertNotification, AlertRule

KINDS = {
    ChannelKind.EMAIL: "Mail",
    ChannelKind.SLACK: "Slack",
    ChannelKind.SNS: "Amazon SNS",
    ChannelKind.PAGERDUTY: "PagerDuty",
}
EVENTS = {
    AlertEvent.OPENED: "Opened",
    AlertEvent.REPEATED: "There is more",
    AlertEvent.ACKNOWLEDGED: "Acknowledged",
    AlertEvent.RESOLVED: "Ended",
    AlertEvent.TEST: "Test",
}


def words_of_alert(alert: Alert, now: datetime) -> Words:
    if alert.resolved_at is not None:
        return Words("completed", "Ended")
    if alert.acknowledged_at is not None:
        return Words("running", "Acknowledged")
    if alert.silenced_until is not None and alert.silenced_until > now:
        return Words("paused", "Silenced")
    return Words("failed", "Open")


def words_of_rule(rule: AlertRule, now: datetime) -> Words:
    if not rule.is_enabled:
        return Words("disabled", "Switched off")
    if rule.silenced_until is not None and rule.silenced_until > now:
        return Words("paused", "Silenced")
    return Words("enabled", "On")


def words_of_channel(channel: AlertChannel) -> Words:
    if channel.is_paused:
        return Words("paused", "Paused")
    if channel.failing_since is not None:
        return Words("failed", "Failing")
    return (
        Words("active", "Works") if channel.last_delivered_at else Words("pending", "Not used yet")
    )


def words_of_sent(sent: AlertNotification) -> Words:
    if sent.state == NotificationState.DELIVERED:
        return Words("completed", "Delivered")
    if sent.state == NotificationState.FAILED:
        return Words("failed", "Given up")
    return Words("running", "Trying again") if sent.tries else Words("queued", "Waiting")
