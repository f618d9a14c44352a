"""Taking up an invite: by its link, or signed in with the address it is for.

Whoever registered with an address has not shown that it is theirs. So an invite is found by its address
only by those whose address is proven; everybody else needs its link. Accepting by a link that was mailed
is such a proof; by one that was handed over it is none, as whoever made the invite knew it too.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from tenants.access import may_enter
from tenants.live import MEMBERS, tell_pages
from tenants.models import InviteStatus, Member, TenantInvite, User
from tenants.people.changing import lock_tenant
from tenants.people.links import digest_of
from tenants.people.refusals import Refused, Unknown

OVER = "this invite was used, withdrawn or has expired: ask for a new one"
ANOTHERS = "this invite is for another address: sign in with that one"
_NONE = "there is no such invite for your address"


def invites_for(user: User) -> QuerySet[TenantInvite]:
    """The invites that this person can accept without their links."""
    if not (may_enter(user) and user.is_email_proven):
        return TenantInvite.objects.none()
    found = _open_invites().filter(email=user.email)
    return found.select_related("tenant").order_by("-created_at")


def has_invite(address: str) -> bool:
    """Whether somebody offered a membership to this address."""
    return _open_invites().filter(email=address).exists()


def invite_of_link(secret: str) -> TenantInvite:
    """Return the open invite that a link belongs to; Refused if there is none."""
    found = _open_invites().filter(link_digest=digest_of(secret))
    invite = found.select_related("tenant", "invited_by").first()
    if invite is None:
        raise Refused(OVER, field="invite")
    return invite


def accept_invite(user: User, invite_id: UUID) -> Member:
    return _accept(user, _invite_for(user, invite_id))


def accept_link(user: User, secret: str) -> Member:
    """Accept by link, for a person who may not have confirmed their address: the link does it."""
    with transaction.atomic():
        invite = _invite_of_own_link(user, secret)
        member = _accept(user, invite)
        user.is_email_verified = True
        user.is_email_proven = user.is_email_proven or invite.is_mailed
        user.save(update_fields=["is_email_verified", "is_email_proven", "updated_at"])
    return member


def reject_invite(user: User, invite_id: UUID) -> None:
    _settle(_invite_for(user, invite_id), InviteStatus.REJECTED)


def reject_link(user: User, secret: str) -> None:
    _settle(_invite_of_own_link(user, secret), InviteStatus.REJECTED)


def _open_invites() -> QuerySet[TenantInvite]:
    return TenantInvite.objects.filter(
        status=InviteStatus.PENDING,
        expires_at__gt=timezone.now(),
        tenant__deleted_at__isnull=True,
    )


def _invite_for(user: User, invite_id: UUID) -> TenantInvite:
    """One of another address is not told from one that does not exist."""
    invite = TenantInvite.objects.filter(id=invite_id, email=user.email).first()
    if invite is None or not user.is_email_proven or not may_enter(user):
        raise Unknown(_NONE, field="invite")
    return invite


def _invite_of_own_link(user: User, secret: str) -> TenantInvite:
    invite = invite_of_link(secret)
    if invite.email != user.email:
        raise Refused(ANOTHERS, field="invite")
    return invite


def _accept(user: User, invite: TenantInvite) -> Member:
    """Make a member of whom it is for; whoever is one already stays what they are."""
    with transaction.atomic():
        lock_tenant(invite.tenant_id)
        settled = _settle(invite, InviteStatus.ACCEPTED)
        member, _ = Member.objects.get_or_create(
            tenant_id=settled.tenant_id,
            user=user,
            defaults={"role": settled.role, "can_view_payloads": settled.can_view_payloads},
        )
    return member


def _settle(invite: TenantInvite, status: InviteStatus) -> TenantInvite:
    """End an open invite, once: whoever comes second is refused."""
    with transaction.atomic():
        now = timezone.now()
        found = TenantInvite.objects.select_for_update().filter(
            id=invite.id,
            link_digest=invite.link_digest,
            status=InviteStatus.PENDING,
            expires_at__gt=now,
        )
        settled = found.first()
        if settled is None:
            raise Refused(OVER, field="invite")
        settled.status = status
        settled.save(update_fields=["status", "updated_at"])
        tell_pages(settled.tenant_id, MEMBERS)
    return settled
