"""What an installation begins with; whoever makes it is alone at it."""

from __future__ import annotations

from django.db import connection

from tenants.installation import Installation
from tenants.models import Tenant

_LOCK_KEY = 0x68617463


def alone_at_first_start() -> None:
    """Wait until nobody else makes the first user or tenant, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_KEY])


def ensure_default_tenant(config: Installation) -> Tenant | None:
    """Return the first tenant, made if there has never been one; None when it was deleted."""
    tenant = Tenant.objects.filter(slug=config.default_tenant_slug).first()
    if tenant is not None or Tenant.with_deleted.exists():
        return tenant
    chosen_id = {"id": config.default_tenant_id} if config.default_tenant_id else {}
    return Tenant.objects.create(
        name=config.default_tenant_name, slug=config.default_tenant_slug, **chosen_id
    )
