"""Roles that come with groups: given, changed and taken at each sign-in with the operator's provider.

A membership that a person was given here stays as it is, whatever their groups are.
"""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction

from tenants.access import includes
from tenants.installation import installation
from tenants.models import Member, Role, Tenant, User
from tenants.sessions import tell_that_somebody_left


def roles_of(groups: Collection[str]) -> dict[str, Role]:
    """The highest role that these groups give in each tenant, by its slug."""
    found: dict[str, Role] = {}
    for group, tenant, word in _mapping():
        role = Role(word)
        if group in groups and not (tenant in found and includes(found[tenant], role)):
            found[tenant] = role
    return found


def apply_groups(user: User, groups: Collection[str]) -> None:
    """Make a person's memberships of the tenants that groups speak of what the groups say."""
    named = {tenant for _, tenant, _ in _mapping()}
    roles = roles_of(groups)
    with transaction.atomic():
        # Locked as by everybody who changes members, so that the last owner is seen.
        tenants = Tenant.objects.select_for_update(no_key=True).filter(slug__in=named)
        for tenant in tenants.order_by("id"):
            _apply(user, tenant, roles.get(tenant.slug))


def _apply(user: User, tenant: Tenant, role: Role | None) -> None:
    member = Member.objects.filter(tenant=tenant, user=user).first()
    if member is None:
        if role is not None:
            Member.objects.create(tenant=tenant, user=user, role=role, is_by_group=True)
        return
    if not member.is_by_group or member.role == role or _is_last_owner(member):
        return
    if role is None:
        member.delete()
        tell_that_somebody_left()
    else:
        member.role = role
        member.save(update_fields=["role", "updated_at"])


def _is_last_owner(member: Member) -> bool:
    owners = Member.objects.filter(tenant=member.tenant, role=Role.OWNER).exclude(id=member.id)
    return member.role == Role.OWNER and not owners.exists()


def _mapping() -> tuple[tuple[str, str, str], ...]:
    oidc = installation().sign_in.oidc
    return () if oidc is None else oidc.group_roles
