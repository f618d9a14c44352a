"""Reads of rules, channels and alerts."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import QuerySet

from webhooks.models import Alert, AlertChannel, AlertNotification, AlertRule


def rules_of(tenant_id: UUID) -> QuerySet[AlertRule]:
    return AlertRule.objects.filter(tenant_id=tenant_id).order_by("name")


def find_rule(tenant_id: UUID, rule_id: UUID) -> AlertRule | None:
    return AlertRule.objects.filter(tenant_id=tenant_id, id=rule_id).first()


def channels_of(tenant_id: UUID, *kinds: str) -> QuerySet[AlertChannel]:
    """Return a tenant's channels, oldest first, without their secrets."""
    found = AlertChannel.objects.filter(tenant_id=tenant_id).defer("secret").order_by("id")
    return found.filter(kind__in=kinds) if kinds else found


def find_channel(tenant_id: UUID, channel_id: UUID) -> AlertChannel | None:
    return AlertChannel.objects.filter(tenant_id=tenant_id, id=channel_id).first()


def alerts_of(tenant_id: UUID, *, is_open: bool | None = None) -> QuerySet[Alert]:
    """Return alerts, newest first."""
    found = Alert.objects.filter(tenant_id=tenant_id).order_by("-id")
    return found if is_open is None else found.filter(resolved_at__isnull=is_open)


def find_alert(tenant_id: UUID, alert_id: UUID) -> Alert | None:
    return Alert.objects.filter(tenant_id=tenant_id, id=alert_id).first()


def notifications_of(alert: Alert) -> QuerySet[AlertNotification]:
    return AlertNotification.objects.filter(alert_id=alert.id).order_by("-id")


def last_tests(channels: Sequence[AlertChannel]) -> dict[UUID, AlertNotification]:
    """Return of each channel what became of its last test."""
    ids = [channel.id for channel in channels]
    tests = AlertNotification.objects.filter(channel_id__in=ids, alert_id=None)
    found = tests.order_by("channel_id", "-id").distinct("channel_id")
    return {one.channel_id: one for one in found if one.channel_id is not None}
