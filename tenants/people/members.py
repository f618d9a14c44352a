"""Changing what members of a tenant may do, and ending memberships.

An owner can neither be demoted nor removed but by another owner, and nobody does either to themselves:
so there always is an owner left. Leaving is for whoever is not the last one.
"""

from __future__ import annotations

from uuid import UUID

from tenants.access import TenantAccess
from tenants.models import InviteStatus, Member, Role, Tenant, TenantInvite, User
from tenants.people.changing import changing, may_grant
from tenants.people.refusals import Forbidden, Refused, Unknown
from tenants.sessions import tell_that_somebody_left


def update_member(
    access: TenantAccess, member_id: UUID, *, role: Role, can_view_payloads: bool | None = None
) -> Member:
    """Give a member another role; `can_view_payloads` stays as it is if it is None."""
    with changing(access, Role.ADMIN) as actor:
        member = _member_of(actor.tenant, member_id)
        if member.user_id == actor.user_id:
            raise Refused("nobody changes their own role", field="role")
        for one in (Role(member.role), role):
            if not may_grant(Role(actor.role), one):
                raise Refused(f"only an {one.value} can change who is {one.value}", field="role")
        member.role = role
        if can_view_payloads is not None:
            member.can_view_payloads = can_view_payloads
        member.save(update_fields=["role", "can_view_payloads", "updated_at"])
        _withdraw_invites(actor.tenant, member.user, role)
    return member


def remove_member(access: TenantAccess, member_id: UUID) -> None:
    """End somebody else's membership, at once also where they are looking on."""
    with changing(access, Role.OWNER) as actor:
        member = _member_of(actor.tenant, member_id)
        if member.user_id == actor.user_id:
            raise Forbidden("nobody removes themselves; leave the tenant instead")
        _end(member)


def leave_tenant(access: TenantAccess) -> None:
    """End the caller's own membership."""
    with changing(access, Role.VIEWER) as actor:
        if actor.role == Role.OWNER and not _has_another_owner(actor):
            raise Refused("the last owner stays: make somebody else OWNER, or delete the tenant")
        _end(actor)


def _member_of(tenant: Tenant, member_id: UUID) -> Member:
    found = Member.objects.filter(tenant=tenant, id=member_id).select_related("user").first()
    if found is None:
        raise Unknown("there is no such member")
    return found


def _has_another_owner(member: Member) -> bool:
    owners = Member.objects.filter(tenant=member.tenant, role=Role.OWNER, user__is_active=True)
    return owners.exclude(id=member.id).exists()


def _end(member: Member) -> None:
    _withdraw_invites(member.tenant, member.user, None)
    member.delete()
    tell_that_somebody_left()


def _withdraw_invites(tenant: Tenant, inviter: User, role: Role | None) -> None:
    """Withdraw what somebody offered and could not offer now: its link would be a way back."""
    granted = [one for one in Role if role is not None and may_grant(role, one)]
    pending = TenantInvite.objects.filter(
        tenant=tenant, invited_by=inviter, status=InviteStatus.PENDING
    )
    pending.exclude(role__in=granted).delete()
