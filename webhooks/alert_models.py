"""What is to be told of, to whom, what is wrong now, and what became of each message about it."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from engine.ids import new_id


class ChannelKind(StrEnum):
    """How messages about alerts leave."""

    EMAIL = "EMAIL"
    SLACK = "SLACK"
    SNS = "SNS"
    PAGERDUTY = "PAGERDUTY"


class AlertEvent(StrEnum):
    """What a message says about its alert."""

    OPENED = "OPENED"
    REPEATED = "REPEATED"
    """There is more of the same."""
    ACKNOWLEDGED = "ACKNOWLEDGED"
    RESOLVED = "RESOLVED"
    TEST = "TEST"
    """Somebody tries out a channel."""


class NotificationState(StrEnum):
    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    """Every attempt failed."""


class AlertRule(models.Model):
    """Something that is looked at again and again. `settings` are those of its kind.

    Without `channel_ids` all of the tenant's channels are told. Whoever looks moves `check_at` to when
    the next look is due.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    name = models.TextField()
    kind = models.TextField()
    settings = models.JSONField(default=dict)
    runbook = models.TextField(default="", blank=True)
    channel_ids = ArrayField(models.UUIDField(), default=list, blank=True)
    is_enabled = models.BooleanField(default=True)
    silenced_until = models.DateTimeField(null=True, blank=True)
    check_at = models.DateTimeField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "name"], name="alert_rule_once_per_tenant")
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["check_at"], condition=Q(is_enabled=True), name="alert_rule_to_check"
            )
        ]


class AlertChannel(models.Model):
    """A way to people. `settings` are what may be shown of it; `secret` is encrypted.

    The secret is Slack's URL, PagerDuty's routing key or the secret key of AWS; mail groups have none.
    `failing_since` is when the first attempt failed since the last that did not.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    kind = models.TextField()
    name = models.TextField()
    settings = models.JSONField(default=dict)
    secret = models.BinaryField(default=b"", blank=True)
    is_paused = models.BooleanField(default=False)
    failing_since = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(default="", blank=True)
    last_delivered_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["tenant", "id"], name="alert_channel_by_tenant")]


class Alert(models.Model):
    """Something that is wrong, or was. Of one `dedup_key` at most one is open.

    `rule_id` is None for what the tenant's own settings ask to be told of. `notify_at` is when people are
    to be told what has become of it, None when they know.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant_id = models.UUIDField()
    rule_id = models.UUIDField(null=True, blank=True)
    rule_name = models.TextField()
    kind = models.TextField()
    dedup_key = models.TextField()
    title = models.TextField()
    text = models.TextField(default="", blank=True)
    link = models.TextField(default="", blank=True)
    """The path of the page that shows it."""
    runbook = models.TextField(default="", blank=True)
    count = models.BigIntegerField(default=1)
    """How often it was found."""
    opened_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.TextField(default="", blank=True)
    silenced_until = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    notify_at = models.DateTimeField(null=True, blank=True)
    last_notified_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "dedup_key"],
                condition=Q(resolved_at__isnull=True),
                name="alert_open_once",
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "id"], name="alert_by_tenant"),
            models.Index(fields=["tenant_id", "dedup_key", "id"], name="alert_by_key"),
            models.Index(
                fields=["notify_at"], condition=Q(notify_at__isnull=False), name="alert_to_tell"
            ),
        ]


class AlertNotification(models.Model):
    """A message about an alert on its way to a channel, or to one address of it.

    `channel_id` None: to a member by mail. `alert_id` None: a channel is tried out. Whoever makes an attempt
    writes its `claim_id` and moves `due_at` to when somebody else may take over.
    """

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.UUIDField()
    alert_id = models.UUIDField(null=True, blank=True)
    channel_id = models.UUIDField(null=True, blank=True)
    address = models.TextField(default="", blank=True)
    event = models.TextField()
    state = models.TextField()
    due_at = models.DateTimeField()
    claim_id = models.UUIDField(null=True, blank=True)
    tries = models.SmallIntegerField(default=0)
    status = models.SmallIntegerField(null=True, blank=True)
    error = models.TextField(default="", blank=True)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["due_at"], condition=Q(state="PENDING"), name="alert_notification_due"
            ),
            models.Index(fields=["alert_id", "id"], name="alert_notification_of_alert"),
            models.Index(fields=["channel_id", "id"], name="alert_notification_of_channel"),
            models.Index(fields=["created_at"], name="alert_notification_by_time"),
        ]


class FailedRuns(models.Model):
    """So many runs of a workflow failed at once, in a tenant that wants to be told of it: noted by a trigger."""

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.UUIDField()
    workflow_id = models.UUIDField()
    run_id = models.UUIDField()
    """One of them."""
    count = models.IntegerField()
    at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["tenant_id", "id"], name="failed_runs_by_tenant")]


class SnsTopic(models.Model):
    """A topic of Amazon SNS whose notifications become events of the tenant."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    topic_arn = models.TextField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "topic_arn"], name="sns_topic_once_per_tenant"
            )
        ]
