"""Offering a membership: who offers it, to which address, and with which link."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from tenants.access import TenantAccess
from tenants.installation import installation
from tenants.models import InviteStatus, Member, Role, Tenant, TenantInvite
from tenants.people.changing import changing, may_grant
from tenants.people.links import address_of, digest_of, mail_link, new_secret
from tenants.people.refusals import Forbidden, Refused, Unknown
from tenants.people.texts import clean_email

LIFETIME = timedelta(days=7)
SWITCHED_OFF = "invites are switched off on this server"


@dataclass(frozen=True, slots=True)
class MadeInvite:
    """`link` is to be handed over by whoever made the invite; None: it was sent by mail."""

    invite: TenantInvite
    link: str | None = field(repr=False)


def pending_invites(tenant: Tenant) -> QuerySet[TenantInvite]:
    """Those that can still be accepted, the newest first."""
    found = TenantInvite.objects.filter(
        tenant=tenant, status=InviteStatus.PENDING, expires_at__gt=timezone.now()
    )
    return found.select_related("tenant", "invited_by").order_by("-created_at")


def create_invite(
    access: TenantAccess, *, email: str, role: Role, can_view_payloads: bool = True
) -> MadeInvite:
    """Offer a membership for a week, and mail its link if mail can be sent."""
    if not installation().people.allow_invites:
        raise Refused(SWITCHED_OFF)
    address, secret, now = clean_email(email), new_secret(), timezone.now()
    with changing(access, Role.ADMIN) as actor:
        _check_grant(actor, role)
        if Member.objects.filter(tenant=actor.tenant, user__email=address).exists():
            raise Refused("a person with this address is a member already", field="email")
        of_tenant = TenantInvite.objects.filter(tenant=actor.tenant, status=InviteStatus.PENDING)
        of_tenant.filter(expires_at__lte=now).delete()
        if of_tenant.filter(email=address).exists():
            raise Refused("this address is invited already", field="email")
        if of_tenant.count() >= (most := installation().people.max_pending_invites):
            raise Forbidden(f"at most {most} invites can be pending: withdraw some")
        invite = TenantInvite.objects.create(
            tenant=actor.tenant,
            invited_by=access.user,
            email=address,
            role=role,
            can_view_payloads=can_view_payloads,
            link_digest=digest_of(secret),
            expires_at=now + LIFETIME,
        )
    return _deliver(invite, secret)


def renew_invite(access: TenantAccess, invite_id: UUID) -> MadeInvite:
    """Make a new link for another week; the old one is worth nothing from now on."""
    secret = new_secret()
    with changing(access, Role.ADMIN) as actor:
        invite = _pending_of(actor.tenant, invite_id)
        _check_grant(actor, Role(invite.role))
        invite.link_digest, invite.expires_at = digest_of(secret), timezone.now() + LIFETIME
        invite.invited_by, invite.is_mailed = access.user, False
        invite.save(
            update_fields=["link_digest", "expires_at", "invited_by", "is_mailed", "updated_at"]
        )
    return _deliver(invite, secret)


def update_invite(
    access: TenantAccess, invite_id: UUID, *, role: Role, can_view_payloads: bool | None = None
) -> TenantInvite:
    """Offer another role; `can_view_payloads` stays as it is if it is None."""
    with changing(access, Role.ADMIN) as actor:
        invite = _pending_of(actor.tenant, invite_id)
        for one in (Role(invite.role), role):
            _check_grant(actor, one)
        invite.role = role
        if can_view_payloads is not None:
            invite.can_view_payloads = can_view_payloads
        invite.save(update_fields=["role", "can_view_payloads", "updated_at"])
    return invite


def withdraw_invite(access: TenantAccess, invite_id: UUID) -> TenantInvite:
    """End an offer that is pending; returns what it was."""
    with changing(access, Role.ADMIN) as actor:
        invite = _pending_of(actor.tenant, invite_id)
        TenantInvite.objects.filter(id=invite.id).delete()
    return invite


def _pending_of(tenant: Tenant, invite_id: UUID) -> TenantInvite:
    """Return a pending invite, locked: it is not accepted meanwhile."""
    invite = pending_invites(tenant).select_for_update(of=("self",)).filter(id=invite_id).first()
    if invite is None:
        raise Unknown("there is no such pending invite")
    return invite


def _check_grant(actor: Member, role: Role) -> None:
    if not may_grant(Role(actor.role), role):
        raise Refused(f"only an {role.value} can invite as {role.value}", field="role")


def _deliver(invite: TenantInvite, secret: str) -> MadeInvite:
    if not mail_link(invite, secret):
        return MadeInvite(invite, address_of(secret))
    TenantInvite.objects.filter(id=invite.id, link_digest=digest_of(secret)).update(is_mailed=True)
    invite.is_mailed = True
    return MadeInvite(invite, None)
