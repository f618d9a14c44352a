"""What every page of a tenant knows: its reader, and how workers connect."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest

from dashboard.navigation import groups_for, section_of
from tenants.access import TenantAccess
from tenants.installation import installation
from tenants.models import Role


def navigation(request: HttpRequest) -> dict[str, object]:
    """Context processor: the section shown, and what the reader's role allows."""
    access: TenantAccess | None = getattr(request, "access", None)
    if access is None:
        return {}
    match = request.resolver_match
    view = match.url_name or "" if match else ""
    may_administer = access.includes(Role.ADMIN)
    return {
        "section": section_of(view),
        "nav": groups_for(may_administer=may_administer),
        "may_write": access.includes(Role.MEMBER) and access.tenant.archived_at is None,
        "may_administer": may_administer,
        "may_create_tenant": installation().people.allow_create_tenant,
        "tls_strategy": "none" if settings.HATCHET.grpc_tls is None else "tls",
    }
