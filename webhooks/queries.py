"""Reads that several users of these tables share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db.models import QuerySet

from webhooks.models import Delivery, EventOrigin, Webhook


def find_webhook(tenant_id: UUID, name: str) -> Webhook | None:
    return Webhook.objects.filter(tenant_id=tenant_id, name=name).first()


def find_receiver(tenant_id: UUID, name: str) -> Webhook | None:
    """Return the webhook that takes what is sent to this address; in an archived tenant there is none."""
    found = Webhook.objects.filter(tenant_id=tenant_id, name=name, tenant__archived_at__isnull=True)
    return found.first()


def webhook_names(event_ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """Return by which webhooks these events came in, for those that did."""
    origins = EventOrigin.objects.filter(event_id__in=event_ids)
    return dict(origins.values_list("event_id", "webhook_name"))


def deliveries_of(tenant_id: UUID) -> QuerySet[Delivery]:
    """Return a tenant's deliveries, newest first, without their bodies."""
    return Delivery.objects.filter(tenant_id=tenant_id).defer("body").order_by("-id")
