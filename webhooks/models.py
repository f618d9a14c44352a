"""Addresses that outside systems send to, and what became of each thing they sent."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from django.db import models

from engine.ids import new_id


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
