"""The one transaction in which it is changed who belongs to a tenant, and what may be done by whom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import transaction

from tenants.access import TenantAccess, includes
from tenants.live import MEMBERS, tell_pages
from tenants.models import Member, Role, Tenant
from tenants.people.refusals import Forbidden, Unknown

NO_TENANT = "there is no such tenant"


def lock_tenant(tenant_id: UUID) -> Tenant:
    """Hold the tenant until the transaction ends: whoever else changes its people waits.

    The engines, whose rows refer to the tenant, do not wait for it.
    """
    tenant = Tenant.objects.select_for_update(no_key=True).filter(id=tenant_id).first()
    if tenant is None:
        raise Unknown(NO_TENANT)
    return tenant


@contextmanager
def changing(access: TenantAccess, needed: Role) -> Iterator[Member]:
    """Hold the tenant, and give whoever acts as they are now: their role may have been changed meanwhile."""
    with transaction.atomic():
        tenant = lock_tenant(access.tenant.id)
        actor = Member.objects.filter(tenant=tenant, user=access.user).first()
        if actor is None:
            raise Forbidden("only people who are members can do this")
        actor.tenant = tenant
        if not includes(Role(actor.role), needed):
            raise Forbidden(f"this needs the role {needed.value}")
        yield actor
        tell_pages(tenant.id, MEMBERS)


def may_grant(actor: Role, role: Role) -> bool:
    """Whether somebody of the role `actor` may make others `role`, and unmake those who are."""
    return includes(actor, Role.ADMIN) and includes(actor, role)
