"""Reads of endpoints and of what is on its way to them."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from webhooks.models import Dispatch, Endpoint


def endpoints_of(tenant_id: UUID) -> QuerySet[Endpoint]:
    """Return a tenant's endpoints, newest first, without their secrets."""
    found = Endpoint.objects.filter(tenant_id=tenant_id)
    return found.defer("secret", "previous_secret").order_by("-id")


def find_endpoint(tenant_id: UUID, endpoint_id: UUID) -> Endpoint | None:
    return Endpoint.objects.filter(tenant_id=tenant_id, id=endpoint_id).first()


def dispatches_to(endpoint: Endpoint) -> QuerySet[Dispatch]:
    """Return what went or goes to an endpoint."""
    return Dispatch.objects.filter(endpoint_id=endpoint.id)
