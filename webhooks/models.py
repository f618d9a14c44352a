"""Addresses that outside systems send to, those of theirs that we send to, and what became of each thing."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from engine.ids import new_id
from webhooks.alert_models import (
    Alert,
    AlertChannel,
    AlertNotification,
    AlertRule,
    FailedRuns,
    SnsTopic,
)

__all__ = [
    "Alert",
    "AlertChannel",
    "AlertNotification",
    "AlertRule",
    "AuthType",
    "Delivery",
    "Dispatch",
    "DispatchState",
    "Endpoint",
    "EventOrigin",
    "FailedRuns",
    "Message",
    "Occurrence",
    "PauseReason",
    "SnsTopic",
    "Verdict",
    "Webhook",
]


class Verdict(StrEnum):
    """What became of a delivery."""

    ACCEPTED = "ACCEPTED"
    CHALLENGE = "CHALLENGE"
    """The sender asked whether it has the right address, and was answered."""
    FORGED = "FORGED"
    """Credentials that are missing or wrong."""
    STALE = "STALE"
    """Signed too long ago, or ahead of our clock."""
    INCOMPLETE = "INCOMPLETE"
    """What is needed to check a signature is missing or cannot be read."""
    MALFORMED = "MALFORMED"
    """Not the JSON object, or the form, that was to be sent."""
    TOO_LARGE = "TOO_LARGE"
    RATE_LIMITED = "RATE_LIMITED"
    EXPRESSION_FAILED = "EXPRESSION_FAILED"
    """The expression of the key or of the scope gave no text."""
    REFUSED = "REFUSED"
    """Its event was refused as any pushed event may be."""
    FAILED = "FAILED"
    """A fault of this server."""


class AuthType(StrEnum):
    BASIC = "BASIC"
    API_KEY = "API_KEY"
    HMAC = "HMAC"


class Webhook(models.Model):
    """An address of a tenant that turns what is sent to it into events.

    `secret` is encrypted: the password with its user, the key or the signing secret. `header_name`
    names the header of the key or of the signature. `static_payload` is a JSON object text.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    name = models.TextField()
    source_name = models.TextField()
    event_key_expression = models.TextField()
    scope_expression = models.TextField(default="", blank=True)
    static_payload = models.BinaryField(null=True, blank=True)
    returns_event = models.BooleanField(default=True)
    auth_type = models.TextField()
    header_name = models.TextField(default="", blank=True)
    algorithm = models.TextField(default="", blank=True)
    encoding = models.TextField(default="", blank=True)
    secret = models.BinaryField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "name"], name="webhook_once_per_tenant")
        ]
        indexes: ClassVar = [models.Index(fields=["tenant", "id"], name="webhook_by_tenant")]


class Delivery(models.Model):
    """One request that came to a webhook. `headers` are without secrets.

    `body` is whole, or the first bytes of one that is too long or came from nobody known.
    `status` is that of the answer. `event_id` is set where an event came of it.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant_id = models.UUIDField()
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    received_at = models.DateTimeField()
    remote_address = models.TextField(default="", blank=True)
    headers = models.JSONField(default=dict)
    body = models.BinaryField(default=b"")
    body_bytes = models.BigIntegerField(default=0)
    is_body_whole = models.BooleanField(default=True)
    is_verified = models.BooleanField(default=False)
    verdict = models.TextField()
    status = models.SmallIntegerField()
    error = models.TextField(default="", blank=True)
    event_key = models.TextField(null=True, blank=True)
    scope = models.TextField(null=True, blank=True)
    event_id = models.UUIDField(null=True, blank=True)
    redelivery_of = models.UUIDField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["webhook", "id"], name="delivery_by_webhook")]

    @property
    def can_be_redelivered(self) -> bool:
        """Whether its sender is known and all of its body is kept."""
        return self.is_verified and self.is_body_whole


class EventOrigin(models.Model):
    """By which webhook an event came in. It stays when the delivery and the webhook are gone."""

    event_id = models.UUIDField(primary_key=True)
    webhook_name = models.TextField()


class PauseReason(StrEnum):
    """Why an endpoint is sent nothing; without a reason it is."""

    PERSON = "PERSON"
    FAILING = "FAILING"
    """Nothing was taken for days."""
    GONE = "GONE"
    """It answered 410: it wants nothing any more."""


class DispatchState(StrEnum):
    """Where a message stands on its way to an endpoint."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    """Every attempt failed. It is kept, and can be sent anew."""


class Endpoint(models.Model):
    """An address of somebody else that is told what happens in a tenant.

    `secret` and `previous_secret` are encrypted; both sign until `previous_expires_at`. No `workflow_ids`
    are all workflows. `failing_since` is when the first attempt failed since the last that did not.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    url = models.TextField()
    description = models.TextField(default="", blank=True)
    kinds = ArrayField(models.TextField())
    workflow_ids = ArrayField(models.UUIDField(), default=list, blank=True)
    secret = models.BinaryField()
    previous_secret = models.BinaryField(null=True, blank=True)
    previous_expires_at = models.DateTimeField(null=True, blank=True)
    pause_reason = models.TextField(default="", blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True)
    not_before = models.DateTimeField(null=True, blank=True)
    """Until when it has asked to be left alone."""
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["tenant", "id"], name="endpoint_by_tenant")]


class Occurrence(models.Model):
    """Something that happened and that an endpoint of the tenant wants to know; it becomes a message.

    Written by triggers, in the transaction in which it happened, and by nobody where no endpoint asks for
    it. `id` grows with each of one subject.
    """

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.UUIDField()
    kind = models.TextField()
    subject_id = models.UUIDField()
    at = models.DateTimeField()
    data = models.JSONField(null=True, blank=True)


class Message(models.Model):
    """What is sent, byte for byte, to every endpoint that wants it.

    Positions grow in the order in which messages become visible: whoever has read up to one misses nothing.
    """

    position = models.BigAutoField(primary_key=True)
    message_id = models.UUIDField(unique=True)
    tenant_id = models.UUIDField()
    kind = models.TextField()
    subject_id = models.UUIDField(null=True, blank=True)
    at = models.DateTimeField()
    body = models.BinaryField()

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["subject_id"],
                condition=Q(kind="worker.lost"),
                name="message_of_lost_worker",
            )
        ]


class Dispatch(models.Model):
    """A message on its way to an endpoint.

    One of a subject goes when none before it is pending. Whoever makes an attempt writes its `claim_id` and
    moves `due_at` to when somebody else may take over. `tries` are those since it was sent anew last,
    `attempts` are all; of them `log` holds the last: when, how long, status, error, answer.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant_id = models.UUIDField()
    endpoint_id = models.UUIDField()
    message_id = models.UUIDField()
    position = models.BigIntegerField()
    subject_id = models.UUIDField(null=True, blank=True)
    state = models.TextField()
    due_at = models.DateTimeField()
    claim_id = models.UUIDField(null=True, blank=True)
    tries = models.SmallIntegerField(default=0)
    attempts = models.IntegerField(default=0)
    status = models.SmallIntegerField(null=True, blank=True)
    error = models.TextField(default="", blank=True)
    log = models.JSONField(default=list)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["endpoint_id", "position"], name="dispatch_in_order")
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["endpoint_id", "due_at"],
                condition=Q(state="PENDING"),
                name="dispatch_due",
            ),
            models.Index(
                fields=["endpoint_id", "subject_id", "position"],
                condition=Q(state="PENDING"),
                name="dispatch_of_subject",
            ),
            models.Index(fields=["message_id"], name="dispatch_of_message"),
        ]
