"""What an archived tenant is changed in: who may be there."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from tenants.models import APIToken, Member, Role, Tenant, TenantInvite
from tenants.tokens import create_token
from tests.dashboard import factories


@pytest.fixture(autouse=True)
def url(tenant: Tenant) -> str:
    tenant.archived_at = timezone.now()
    tenant.save(update_fields=["archived_at"])
    return f"/t/{tenant.slug}"


def test_rights_are_taken_away_as_elsewhere(owner: Client, tenant: Tenant, url: str) -> None:
    member = Member.objects.get(user=factories.make_member(tenant, Role.ADMIN))
    token, _ = create_token(tenant, "ci")
    invite, _ = factories.make_invite(tenant)
    owner.post(f"{url}/tokens/{token.id}/revoke")
    owner.post(f"{url}/invites/{invite.id}/revoke")
    owner.post(f"{url}/members/{member.id}", {"role": "VIEWER"})
    assert Member.objects.get(id=member.id).role == Role.VIEWER
    owner.post(f"{url}/members/{member.id}/remove")
    assert APIToken.objects.get(id=token.id).revoked_at is not None
    assert not TenantInvite.objects.filter(id=invite.id).exists()
    assert not Member.objects.filter(id=member.id).exists()
