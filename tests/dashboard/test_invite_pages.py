"""Invites as admins make them: mailed or handed over once, renewed, revoked."""

from __future__ import annotations

import re

import pytest
from django.core import mail
from django.test import Client

from tenants.models import Member, Role, Tenant, TenantInvite
from tenants.people.accepting import invite_of_link
from tenants.people.refusals import Refused
from tenants.sign_in_limits import MAILS_PER_ACCOUNT
from tests.dashboard import factories

ADDRESS = "newcomer@example.org"


@pytest.fixture
def url(tenant: Tenant) -> str:
    return f"/t/{tenant.slug}/invites"


@pytest.fixture
def _without_mail(settings: pytest.FixtureRequest) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"  # type: ignore[attr-defined]


def secret_in(text: str) -> str:
    found = re.search(r"/invites/([A-Za-z0-9_-]+)", text)
    assert found is not None
    return found.group(1)


def shown_link(text: str) -> str:
    found = re.search(r'id="invite-link"[^>]* value="([^"]+)"', text)
    assert found is not None
    return found.group(1)


@pytest.mark.usefixtures("_without_mail")
def test_a_link_that_is_not_mailed_is_shown_once(admin: Client, tenant: Tenant, url: str) -> None:
    answer = admin.post(f"{url}/new", {"email": f" {ADDRESS.upper()} ", "role": "VIEWER"})
    assert "no-store" in answer["Cache-Control"]
    secret = secret_in(shown_link(answer.content.decode()))
    invite = invite_of_link(secret)
    assert (invite.email, invite.role, invite.can_view_payloads) == (ADDRESS, Role.VIEWER, False)
    assert invite.tenant == tenant
    listed = admin.get(f"/t/{tenant.slug}/members").content.decode()
    assert ADDRESS in listed
    assert secret not in listed


def test_a_mailed_link_is_for_nobody_else(admin: Client, tenant: Tenant, url: str) -> None:
    given = {"email": ADDRESS, "role": "MEMBER", "payloads": "yes"}
    answer = admin.post(f"{url}/new", given, follow=True)
    [message] = mail.outbox
    assert message.to == [ADDRESS]
    secret = secret_in(str(message.body))
    assert invite_of_link(secret).can_view_payloads
    text = answer.content.decode()
    assert f"The invite is sent to {ADDRESS}" in text
    assert secret not in text


@pytest.mark.parametrize(
    ("email", "role"),
    [
        ("", "MEMBER"),
        ("no address", "MEMBER"),
        ("a@b.example\nBcc: c@d.example", "MEMBER"),
        ("nul\0@example.org", "MEMBER"),
        ("x" * 100_000 + "@example.org", "MEMBER"),
        (ADDRESS, ""),
        (ADDRESS, "KING"),
        (ADDRESS, "OWNER"),
    ],
    ids=["empty", "not one", "header", "NUL", "long", "no role", "no such role", "above"],
)
def test_a_bad_invite_is_refused(
    email: str, role: str, admin: Client, tenant: Tenant, url: str
) -> None:
    answer = admin.post(f"{url}/new", {"email": email, "role": role})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode()
    assert not TenantInvite.objects.filter(tenant=tenant).exists()
    assert mail.outbox == []


def test_members_and_the_invited_are_not_invited_again(
    admin: Client, tenant: Tenant, url: str
) -> None:
    member = factories.make_member(tenant, Role.VIEWER)
    answer = admin.post(f"{url}/new", {"email": member.email, "role": "MEMBER"})
    assert "is a member already" in answer.content.decode()
    invite, _ = factories.make_invite(tenant)
    answer = admin.post(f"{url}/new", {"email": invite.email, "role": "MEMBER"})
    assert "is invited already" in answer.content.decode()
    assert TenantInvite.objects.filter(tenant=tenant).count() == 1


@pytest.mark.usefixtures("_without_mail")
def test_a_new_link_ends_the_old_one(admin: Client, tenant: Tenant, url: str) -> None:
    invite, old = factories.make_invite(tenant)
    assert invite.email in admin.get(f"{url}/{invite.id}/renew").content.decode()
    assert invite_of_link(old) == invite
    answer = admin.post(f"{url}/{invite.id}/renew")
    assert invite_of_link(secret_in(shown_link(answer.content.decode()))) == invite
    with pytest.raises(Refused):
        invite_of_link(old)


def test_nobodys_inbox_is_filled_with_links(admin: Client, tenant: Tenant, url: str) -> None:
    invite, _ = factories.make_invite(tenant)
    for _ in range(MAILS_PER_ACCOUNT):
        assert admin.post(f"{url}/{invite.id}/renew").status_code == 302
    answer = admin.post(f"{url}/{invite.id}/renew")
    assert len(mail.outbox) == MAILS_PER_ACCOUNT
    assert invite_of_link(secret_in(shown_link(answer.content.decode()))) == invite
    assert not TenantInvite.objects.get(id=invite.id).is_mailed


def test_revoking_asks_first_and_is_final(admin: Client, tenant: Tenant, url: str) -> None:
    invite, secret = factories.make_invite(tenant)
    assert invite.email in admin.get(f"{url}/{invite.id}/revoke").content.decode()
    assert invite_of_link(secret) == invite
    answer = admin.post(f"{url}/{invite.id}/revoke", follow=True)
    assert "is revoked" in answer.content.decode()
    with pytest.raises(Refused):
        invite_of_link(secret)
    assert admin.post(f"{url}/{invite.id}/revoke").status_code == 404
    assert admin.get(f"{url}/{invite.id}/renew").status_code == 404


def test_an_owners_invite_is_not_an_admins_to_renew(
    admin: Client, tenant: Tenant, url: str
) -> None:
    invite, secret = factories.make_invite(tenant, role=Role.OWNER)
    assert admin.post(f"{url}/{invite.id}/renew").status_code == 422
    assert invite_of_link(secret) == invite
    assert not Member.objects.filter(tenant=tenant, role=Role.OWNER).exists()
