"""The only gate to a tenant: who is asking, and what their role lets them do there."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from tenants.models import Member, Role, Tenant, TokenScope, User
from tenants.token_claims import VerifiedToken

UNCONFIRMED = "confirm your e-mail address first"
_RANK = {Role.VIEWER: 0, Role.MEMBER: 1, Role.ADMIN: 2, Role.OWNER: 3}


class AccessDenied(Exception):
    """The caller is known but may not do this; `is_stranger` means: not a member at all."""

    def __init__(self, message: str, *, is_stranger: bool = False) -> None:
        super().__init__(message)
        self.is_stranger = is_stranger


@dataclass(frozen=True, slots=True)
class TenantAccess:
    """Proof that somebody may enter `tenant`: a `user`, or an API token of some `scope`."""

    tenant: Tenant
    role: Role
    user: User | None = None
    token_id: UUID | None = None
    scope: TokenScope | None = None
    can_view_payloads: bool = True

    def includes(self, role: Role) -> bool:
        return includes(self.role, role)

    def require(self, role: Role) -> None:
        if not self.includes(role):
            raise AccessDenied(f"this needs the role {role.value}")


def may_enter(user: User) -> bool:
    """Whether this person may enter tenants at all: an active user who confirmed their address."""
    return user.is_active and user.is_email_verified


def includes(held: Role, needed: Role) -> bool:
    """OWNER includes ADMIN includes MEMBER includes VIEWER."""
    return _RANK[held] >= _RANK[needed]


def access_of_user(user: User, tenant: Tenant, needed: Role = Role.VIEWER) -> TenantAccess:
    """Return the user's access, or raise AccessDenied for strangers and for too low a role."""
    if user.is_active and not may_enter(user):
        raise AccessDenied(UNCONFIRMED)
    member = Member.objects.filter(tenant=tenant, user=user).first()
    if member is None or not user.is_active:
        raise AccessDenied("you are not a member of this tenant", is_stranger=True)
    access = _access_of_member(member, user, tenant)
    access.require(needed)
    return access


def accesses_of_user(user: User) -> list[TenantAccess]:
    """Return the user's access to each of their tenants, by tenant name, in one query."""
    if not may_enter(user):
        return []
    members = Member.objects.filter(user=user).select_related("tenant")
    return [
        _access_of_member(member, user, member.tenant)
        for member in members.order_by("tenant__name", "tenant__slug")
    ]


def _access_of_member(member: Member, user: User, tenant: Tenant) -> TenantAccess:
    role = Role(member.role)
    return TenantAccess(
        tenant=tenant,
        role=role,
        user=user,
        can_view_payloads=member.can_view_payloads or includes(role, Role.ADMIN),
    )


def access_of_token(token: VerifiedToken, tenant: Tenant) -> TenantAccess:
    """An API token acts as an admin of its own tenant and of no other, as far as its scope goes."""
    if token.tenant_id != tenant.id:
        raise AccessDenied("the token belongs to another tenant", is_stranger=True)
    return TenantAccess(tenant=tenant, role=Role.ADMIN, token_id=token.token_id, scope=token.scope)
