"""How users, tenants, members and tokens look in answers."""

from __future__ import annotations

import hashlib

from tenants.installation import installation
from tenants.models import APIToken, Member, Tenant, TenantInvite, User
from tenants.rest.errors import AnyDict
from tenants.rest.render import metadata, timestamp


def user_shape(user: User) -> AnyDict:
    return {
        "metadata": metadata(user.id, user.created_at, user.updated_at),
        "name": user.name,
        "email": user.email,
        "emailVerified": user.is_email_verified,
        "hasPassword": user.has_usable_password(),
        "emailHash": hashlib.sha256(user.email.encode()).hexdigest(),
    }


def tenant_shape(tenant: Tenant) -> AnyDict:
    shape: AnyDict = {
        "metadata": metadata(tenant.id, tenant.created_at, tenant.updated_at),
        "name": tenant.name,
        "slug": tenant.slug,
        "version": "V1",
        "environment": tenant.environment,
        "analyticsOptOut": True,
        "alertMemberEmails": tenant.alerts_members,
        "serverUrl": installation().server_url,
    }
    if tenant.archived_at is not None:
        shape["archivedAt"] = timestamp(tenant.archived_at)
    return shape


def member_shape(member: Member, *, with_tenant: bool = False) -> AnyDict:
    shape: AnyDict = {
        "metadata": metadata(member.id, member.created_at, member.updated_at),
        "user": {"email": member.user.email, "name": member.user.name},
        "role": member.role,
        "canViewPayloads": member.can_view_payloads,
    }
    if with_tenant:
        shape["tenant"] = tenant_shape(member.tenant)
    return shape


def api_token_shape(token: APIToken) -> AnyDict:
    shape: AnyDict = {
        "metadata": metadata(token.id, token.created_at, token.updated_at),
        "name": token.name,
        "expiresAt": timestamp(token.expires_at),
        "scope": token.scope,
    }
    if token.last_used_at is not None:
        shape["lastUsedAt"] = timestamp(token.last_used_at)
    if token.replaced_by_id is not None:
        shape["replacedBy"] = str(token.replaced_by_id)
    return shape


def invite_shape(invite: TenantInvite, *, link: str | None = None) -> AnyDict:
    """`link` is shown once, to whoever has to hand it over."""
    shape: AnyDict = {
        "metadata": metadata(invite.id, invite.created_at, invite.updated_at),
        "email": invite.email,
        "role": invite.role,
        "canViewPayloads": invite.can_view_payloads,
        "tenantId": str(invite.tenant_id),
        "tenantName": invite.tenant.name,
        "expires": timestamp(invite.expires_at),
    }
    if link is not None:
        shape["link"] = link
    return shape
