"""What people do with alerts and rules, for the API and the pages alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef

from engine.errors import FailedPrecondition, InvalidArgument, NotFound
from engine.models import Workflow
from engine.store import sync_db
from tenants.json_text import without_nul
from webhooks.alert_models import AlertEvent, ChannelKind, NotificationState
from webhooks.alerts.look import tell_pages_of
from webhooks.alerts.settings import LONGEST_NAME, clean_line, kind_of, settings_of
from webhooks.models import (
    Alert,
    AlertChannel,
    AlertNotification,
    AlertRule,
    Endpoint,
    Occurrence,
)

MOST_RULES = 100
"""Of one tenant."""
MOST_CHANNELS_OF_RULE = 50
LONGEST_RUNBOOK = 4_000
LONGEST_SILENCE = timedelta(days=30)
ACKNOWLEDGED = "alert.acknowledged"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRule:
    """What is known of a rule before it exists; `settings` are those that were given."""

    name: str
    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    runbook: str = ""
    channel_ids: Sequence[UUID] = ()
    is_enabled: bool = True


def create_rule(tenant_id: UUID, new: NewRule, now: datetime) -> AlertRule:
    """Make a rule; it is looked at from now on. InvalidArgument: something of it is wrong."""
    kind = kind_of(new.kind)
    settings = _checked_settings(tenant_id, settings_of(kind, new.settings))
    name, runbook = clean_line("name", new.name, LONGEST_NAME), _runbook(new.runbook)
    channel_ids = _channel_ids(tenant_id, new.channel_ids)
    if AlertRule.objects.filter(tenant_id=tenant_id).count() >= MOST_RULES:
        raise InvalidArgument(f"a tenant has at most {MOST_RULES} alert rules")
    rule = AlertRule(
        tenant_id=tenant_id,
        name=name,
        kind=kind.name,
        settings=settings,
        runbook=runbook,
        channel_ids=channel_ids,
        is_enabled=new.is_enabled,
        check_at=now,
        created_at=now,
        updated_at=now,
    )
    _save(rule)
    return rule


def update_rule(rule: AlertRule, changed: Mapping[str, Any], now: datetime) -> None:
    """Change the fields given by their names here; what it had found is looked for anew."""
    given = dict(changed)
    if "name" in given:
        given["name"] = clean_line("name", given["name"], LONGEST_NAME)
    if "runbook" in given:
        given["runbook"] = _runbook(given["runbook"])
    if "channel_ids" in given:
        given["channel_ids"] = _channel_ids(rule.tenant_id, given["channel_ids"])
    if "settings" in given:
        settings = settings_of(kind_of(rule.kind), given["settings"])
        given["settings"] = _checked_settings(rule.tenant_id, settings)
    for name, value in given.items():
        setattr(rule, name, value)
    rule.check_at = rule.updated_at = now
    with transaction.atomic():
        _save(rule, update_fields=[*given, "check_at", "updated_at"])
        if not rule.is_enabled:
            _end_alerts_of(rule, now)


def delete_rule(rule: AlertRule, now: datetime) -> None:
    """Delete a rule; its alerts end, and nobody is told."""
    with transaction.atomic():
        AlertRule.objects.select_for_update().filter(id=rule.id).first()
        _end_alerts_of(rule, now)
        rule.delete()


def silence_rule(rule: AlertRule, seconds: int, now: datetime) -> None:
    """Tell nobody of its alerts for so long; of those that are open then, people are told then. 0: now."""
    until = _silence(seconds, now)
    with transaction.atomic():
        rule.silenced_until = until
        rule.updated_at = now
        rule.save(update_fields=["silenced_until", "updated_at"])
        if until is None:
            waiting = Alert.objects.filter(rule_id=rule.id, tenant_id=rule.tenant_id)
            waiting.filter(resolved_at=None, notify_at__gt=now).update(notify_at=now)


def acknowledge(alert: Alert, who: str, now: datetime) -> None:
    """Say that somebody cares: of this alert only its end is told from now on.

    Channels that a team shares, and endpoints that ask for it, are told who. Doing it twice does nothing.
    """
    with transaction.atomic():
        found = _open(alert)
        if found.acknowledged_at is None:
            found.acknowledged_at, found.acknowledged_by = now, who
            found.notify_at = None
            found.save(update_fields=["acknowledged_at", "acknowledged_by", "notify_at"])
            _tell_of_acknowledgement(found, now)
            sync_db.run(tell_pages_of([alert.tenant_id]))
    alert.refresh_from_db()


def silence_alert(alert: Alert, seconds: int, now: datetime) -> None:
    """Tell nobody of it for so long; if it is open then, people are told then. 0: now."""
    until = _silence(seconds, now)
    with transaction.atomic():
        found = _open(alert)
        found.silenced_until = until
        if until is None and found.notify_at is not None:
            found.notify_at = now
        found.save(update_fields=["silenced_until", "notify_at"])
        sync_db.run(tell_pages_of([alert.tenant_id]))
    alert.refresh_from_db()


def _open(alert: Alert) -> Alert:
    found = Alert.objects.select_for_update().filter(id=alert.id).first()
    if found is None:
        raise NotFound("there is no such alert")
    if found.resolved_at is not None:
        raise FailedPrecondition("this alert has ended")
    return found


def _tell_of_acknowledgement(alert: Alert, now: datetime) -> None:
    told = AlertNotification.objects.filter(alert_id=alert.id, channel_id=OuterRef("id"))
    shared = AlertChannel.objects.filter(tenant_id=alert.tenant_id, is_paused=False)
    channels = shared.filter(Exists(told)).exclude(kind=ChannelKind.EMAIL)
    AlertNotification.objects.bulk_create(
        AlertNotification(
            tenant_id=alert.tenant_id,
            alert_id=alert.id,
            channel_id=channel_id,
            event=AlertEvent.ACKNOWLEDGED.value,
            state=NotificationState.PENDING.value,
            due_at=now,
            created_at=now,
        )
        for channel_id in channels.values_list("id", flat=True)
    )
    asking = Endpoint.objects.filter(tenant_id=alert.tenant_id, kinds__contains=[ACKNOWLEDGED])
    if asking.exists():
        Occurrence.objects.create(
            tenant_id=alert.tenant_id,
            kind=ACKNOWLEDGED,
            subject_id=alert.id,
            at=now,
            data={
                "alertId": str(alert.id),
                "kind": alert.kind,
                "ruleName": alert.rule_name,
                "title": alert.title,
                "acknowledgedBy": alert.acknowledged_by,
            },
        )


def _end_alerts_of(rule: AlertRule, now: datetime) -> None:
    found = Alert.objects.filter(tenant_id=rule.tenant_id, rule_id=rule.id, resolved_at=None)
    found.update(resolved_at=now, notify_at=None)


def _save(rule: AlertRule, **kwargs: Any) -> None:
    try:
        with transaction.atomic():
            rule.save(**kwargs)
    except IntegrityError as error:
        raise FailedPrecondition(f'an alert rule "{rule.name}" exists') from error


def _silence(seconds: int, now: datetime) -> datetime | None:
    if not 0 <= seconds <= LONGEST_SILENCE.total_seconds():
        raise InvalidArgument(f"a silence lasts at most {LONGEST_SILENCE.days} days")
    return now + timedelta(seconds=seconds) if seconds else None


def _runbook(given: str) -> str:
    if len(given) > LONGEST_RUNBOOK or without_nul(given) != given:
        raise InvalidArgument(f"runbook must have at most {LONGEST_RUNBOOK} characters")
    return given.replace("\r\n", "\n").strip()


def _channel_ids(tenant_id: UUID, given: Sequence[UUID]) -> list[UUID]:
    wanted = sorted(set(given))
    if len(wanted) > MOST_CHANNELS_OF_RULE:
        raise InvalidArgument(f"channelIds must hold at most {MOST_CHANNELS_OF_RULE} entries")
    if AlertChannel.objects.filter(tenant_id=tenant_id, id__in=wanted).count() != len(wanted):
        raise InvalidArgument("channelIds must be channels of this tenant")
    return wanted


def _checked_settings(tenant_id: UUID, settings: dict[str, Any]) -> dict[str, Any]:
    wanted = settings.get("workflowIds", [])
    if Workflow.objects.filter(tenant_id=tenant_id, id__in=wanted).count() != len(wanted):
        raise InvalidArgument("workflowIds must be workflows of this tenant")
    return settings
