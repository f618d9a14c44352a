"""Joining: an account of one's own, and invites as whoever is invited meets them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from tenants.models import InviteStatus, Member, Role, Tenant, TenantInvite, User
from tenants.sign_in_limits import TRIES_PER_ADDRESS
from tests.dashboard import factories

ADDRESS = "newcomer@example.org"
NEWCOMER = {"email": ADDRESS, "name": "New Comer", "password": factories.PASSWORD}


@pytest.fixture
def sign_up_open(settings: Any, db: None) -> None:
    people = replace(settings.HATCHET.people, allow_signup=True, set_email_verified=True)
    settings.HATCHET = replace(settings.HATCHET, people=people)


@pytest.fixture
def sign_up_closed(settings: Any, tenant: Tenant) -> None:
    """As it is unless the operator says otherwise, once somebody has an account."""
    people = replace(settings.HATCHET.people, allow_signup=False, set_email_verified=False)
    settings.HATCHET = replace(settings.HATCHET, people=people)
    factories.make_user()


@pytest.mark.usefixtures("sign_up_open")
def test_a_person_registers_and_makes_a_tenant(anonymous: Client) -> None:
    factories.make_user()
    assert "Create an account" in anonymous.get("/login").content.decode()
    assert "Create account" in anonymous.get("/register").content.decode()
    answer = anonymous.post("/register", NEWCOMER, follow=True)
    assert "No tenant yet" in answer.content.decode()
    answer = anonymous.post("/tenants/new", {"name": "Fresh Ideas"}, follow=True)
    assert answer.redirect_chain == [("/t/fresh-ideas/", 302)]
    member = Member.objects.get(user__email=ADDRESS)
    assert (member.role, member.tenant.name) == (Role.OWNER, "Fresh Ideas")
    assert anonymous.get("/register")["Location"] == "/"


@pytest.mark.usefixtures("sign_up_open")
@pytest.mark.parametrize(
    "wrong",
    [
        {"email": "no address"},
        {"email": "nul\0@example.org"},
        {"email": "x" * 100_000},
        {"name": ""},
        {"name": "x" * 201},
        {"name": "two\nlines"},
        {"password": ""},
        {"password": "short"},
        {"password": "12345678"},
        {"password": "x" * 5000},
        {"password": "nul\0nul\0nul"},
    ],
    ids=lambda wrong: "-".join(f"{key} {len(value)}" for key, value in wrong.items()),
)
def test_a_bad_registration_makes_nobody(wrong: dict[str, str], anonymous: Client) -> None:
    factories.make_user()
    answer = anonymous.post("/register", NEWCOMER | wrong)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode()
    assert factories.PASSWORD not in answer.content.decode()
    assert User.objects.count() == 1
    assert "_auth_user_id" not in anonymous.session


@pytest.mark.usefixtures("sign_up_open")
def test_registering_does_not_tell_who_has_an_account(anonymous: Client) -> None:
    known = factories.make_user()
    answer = anonymous.post("/register", NEWCOMER | {"email": known.email})
    assert "an account for this address cannot be made" in answer.content.decode().lower()
    known.refresh_from_db()
    assert known.check_password(factories.PASSWORD)
    assert "_auth_user_id" not in anonymous.session


@pytest.mark.usefixtures("sign_up_open")
def test_too_many_registrations_are_refused(anonymous: Client) -> None:
    factories.make_user()
    for _ in range(TRIES_PER_ADDRESS):
        assert anonymous.post("/register", NEWCOMER | {"password": "short"}).status_code == 422
    assert anonymous.post("/register", NEWCOMER).status_code == 429
    assert not User.objects.filter(email=ADDRESS).exists()


@pytest.mark.usefixtures("sign_up_closed")
def test_without_an_invite_nobody_registers_where_that_is_off(anonymous: Client) -> None:
    assert "Create an account" not in anonymous.get("/login").content.decode()
    assert "New accounts need an invite" in anonymous.get("/register").content.decode()
    assert anonymous.post("/register", NEWCOMER).status_code == 422
    assert not User.objects.filter(email=ADDRESS).exists()


@pytest.mark.usefixtures("sign_up_open")
def test_whose_address_is_not_believed_is_asked_to_confirm_it(
    anonymous: Client, settings: Any
) -> None:
    factories.make_user()
    people = replace(settings.HATCHET.people, set_email_verified=False)
    settings.HATCHET = replace(settings.HATCHET, people=people)
    answer = anonymous.post("/register", NEWCOMER, follow=True)
    assert answer.status_code == 403
    assert "Confirm your e-mail address" in answer.content.decode()
    assert anonymous.post("/tenants/new", {"name": "Mine"}).status_code == 403
    assert not Member.objects.filter(user__email=ADDRESS).exists()


@pytest.mark.usefixtures("sign_up_closed")
def test_a_link_lets_the_invited_register_and_join(anonymous: Client, tenant: Tenant) -> None:
    _, secret = factories.make_invite(
        tenant, ADDRESS, Role.VIEWER, can_view_payloads=False, is_mailed=True
    )
    page = anonymous.get(f"/invites/{secret}").content.decode()
    assert tenant.name in page
    assert f"/register?invite={secret}" in page
    form = anonymous.get("/register", {"invite": secret}).content.decode()
    assert f'value="{ADDRESS}"' in form
    answer = anonymous.post("/register", NEWCOMER | {"invite": secret}, follow=True)
    assert answer.redirect_chain == [(f"/t/{tenant.slug}/", 302)]
    assert f"Welcome to {tenant.name}" in answer.content.decode()
    member = Member.objects.get(user__email=ADDRESS)
    assert (member.role, member.can_view_payloads) == (Role.VIEWER, False)
    again = Client().post("/register", NEWCOMER | {"invite": secret, "email": "x@example.org"})
    assert again.status_code == 404
    assert not User.objects.filter(email="x@example.org").exists()


@pytest.mark.usefixtures("sign_up_closed")
def test_a_link_is_for_nobody_but_the_invited(
    anonymous: Client, tenant: Tenant, sign_in: Callable[[User], Client]
) -> None:
    invite, secret = factories.make_invite(tenant, ADDRESS)
    answer = anonymous.post("/register", NEWCOMER | {"invite": secret, "email": "x@example.org"})
    assert answer.status_code == 422
    other = factories.make_user()
    browser = sign_in(other)
    assert "You are signed in as" in browser.get(f"/invites/{secret}").content.decode()
    assert browser.post(f"/invites/{secret}", {"answer": "accept"}).status_code == 422
    assert browser.post(f"/invites/{secret}", {"answer": "reject"}).status_code == 422
    assert browser.post(f"/invites/{invite.id}/answer", {"answer": "accept"}).status_code == 404
    assert anonymous.post(f"/invites/{secret}", {"answer": "accept"}).status_code == 200
    invite.refresh_from_db()
    assert invite.status == InviteStatus.PENDING
    assert not Member.objects.filter(tenant=tenant).exists()


@pytest.mark.parametrize("state", ["unknown", "expired", "accepted", "revoked", "deleted tenant"])
def test_a_link_that_is_over_says_so(state: str, anonymous: Client, tenant: Tenant) -> None:
    invite, secret = factories.make_invite(tenant, ADDRESS)
    now = datetime.now(UTC)
    found = TenantInvite.objects.filter(id=invite.id)
    if state == "unknown":
        secret = secret[::-1]
    elif state == "expired":
        found.update(expires_at=now - timedelta(seconds=1))
    elif state == "accepted":
        found.update(status=InviteStatus.ACCEPTED)
    elif state == "revoked":
        found.delete()
    else:
        Tenant.objects.filter(id=tenant.id).update(deleted_at=now)
    for answer in (
        anonymous.get(f"/invites/{secret}"),
        anonymous.get("/register", {"invite": secret}),
        anonymous.post("/register", NEWCOMER | {"invite": secret}),
    ):
        assert answer.status_code == 404
        text = answer.content.decode()
        assert "This invite is not open" in text
        assert tenant.name not in text
    assert not User.objects.filter(email=ADDRESS).exists()


def test_who_has_an_account_accepts_by_the_link(
    tenant: Tenant, sign_in: Callable[[User], Client]
) -> None:
    _, secret = factories.make_invite(tenant, ADDRESS, Role.ADMIN)
    browser = sign_in(factories.make_user(ADDRESS))
    assert "Accept" in browser.get(f"/invites/{secret}").content.decode()
    for given in ({}, {"answer": "perhaps"}):
        assert browser.post(f"/invites/{secret}", given).status_code == 422
    assert not Member.objects.filter(tenant=tenant).exists()
    answer = browser.post(f"/invites/{secret}", {"answer": "accept"}, follow=True)
    assert f"Welcome to {tenant.name}" in answer.content.decode()
    assert Member.objects.get(tenant=tenant).role == Role.ADMIN
    assert browser.post(f"/invites/{secret}", {"answer": "accept"}).status_code == 404


def test_a_rejected_invite_is_over(tenant: Tenant, sign_in: Callable[[User], Client]) -> None:
    invite, secret = factories.make_invite(tenant, ADDRESS)
    browser = sign_in(factories.make_user(ADDRESS))
    answer = browser.post(f"/invites/{secret}", {"answer": "reject"}, follow=True)
    assert "You rejected the invite" in answer.content.decode()
    invite.refresh_from_db()
    assert invite.status == InviteStatus.REJECTED
    assert browser.get(f"/invites/{secret}").status_code == 404


def test_own_invites_are_answered_without_their_links(
    tenant: Tenant, sign_in: Callable[[User], Client]
) -> None:
    rejected, _ = factories.make_invite(tenant, ADDRESS)
    other = factories.make_tenant("Beta")
    accepted, _ = factories.make_invite(other, ADDRESS, Role.VIEWER)
    factories.make_invite(factories.make_tenant("Gamma"))
    browser = sign_in(factories.make_user(ADDRESS))
    page = browser.get("/invites").content.decode()
    assert "Beta" in page
    assert "Gamma" not in page
    browser.post(f"/invites/{rejected.id}/answer", {"answer": "reject"})
    answer = browser.post(f"/invites/{accepted.id}/answer", {"answer": "accept"}, follow=True)
    assert answer.redirect_chain == [(f"/t/{other.slug}/", 302)]
    assert [one.tenant for one in Member.objects.filter(user__email=ADDRESS)] == [other]
    assert "Nobody has invited" in browser.get("/invites").content.decode()


def test_whose_address_no_mail_has_proven_needs_the_link(
    tenant: Tenant, sign_in: Callable[[User], Client]
) -> None:
    invite, _ = factories.make_invite(tenant, ADDRESS)
    user = factories.make_user(ADDRESS)
    User.objects.filter(id=user.id).update(is_email_proven=False)
    browser = sign_in(user)
    page = browser.get("/invites").content.decode()
    assert tenant.name not in page
    assert "open the link" in page
    answer = browser.post(f"/invites/{invite.id}/answer", {"answer": "accept"})
    assert answer.status_code == 404
    assert not Member.objects.filter(tenant=tenant).exists()


def test_own_pages_need_a_person_and_a_token_against_forgery(
    anonymous: Client, tenant: Tenant
) -> None:
    invite, secret = factories.make_invite(tenant, ADDRESS)
    for path in ("/invites", "/tenants/new"):
        assert anonymous.get(path)["Location"].startswith("/login?next=/")
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(factories.make_user(ADDRESS))
    for path in (
        f"/invites/{secret}",
        f"/invites/{invite.id}/answer",
        "/tenants/new",
        "/register",
    ):
        assert careful.post(path, {"answer": "accept", "name": "x"}).status_code == 403
    assert mail.outbox == []
    assert not Member.objects.filter(tenant=tenant).exists()
