"""Members on their pages: listed and found, given another role, removed; and what a lost tenant looks like."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from dashboard.views.members import MOST_SHOWN
from tenants.models import Member, Role, Tenant, User
from tests.dashboard import factories

FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def url(tenant: Tenant) -> str:
    return f"/t/{tenant.slug}/members"


@pytest.fixture
def other(tenant: Tenant) -> Member:
    user = factories.make_member(tenant, Role.MEMBER)
    User.objects.filter(id=user.id).update(name="Grace <Hopper>")
    return Member.objects.get(user=user)


def test_members_and_open_invites_are_listed(
    admin: Client, tenant: Tenant, other: Member, url: str
) -> None:
    factories.make_member(tenant, Role.VIEWER, can_view_payloads=False)
    elsewhere = factories.make_tenant("Elsewhere")
    foreign = factories.make_member(elsewhere, Role.OWNER)
    invite, _ = factories.make_invite(tenant)
    foreign_invite, _ = factories.make_invite(elsewhere)
    text = admin.get(url).content.decode()
    assert "Grace &lt;Hopper&gt;" in text
    assert other.user.email in text
    assert "hidden" in text
    assert invite.email in text
    assert foreign.email not in text
    assert foreign_invite.email not in text


def test_the_list_follows_what_is_changed_elsewhere(admin: Client, other: Member, url: str) -> None:
    first = admin.get(f"{url}/live", headers=FRAGMENT)
    known = {**FRAGMENT, "HX-PTag": first["HX-PTag"]}
    assert admin.get(f"{url}/live", headers=known).status_code == 304
    Member.objects.filter(id=other.id).update(role=Role.ADMIN)
    assert admin.get(f"{url}/live", headers=known).status_code == 200


def test_many_members_are_searched(admin: Client, tenant: Tenant, other: Member, url: str) -> None:
    users = User.objects.bulk_create(
        User(email=f"person-{number}@example.org") for number in range(MOST_SHOWN + 1)
    )
    Member.objects.bulk_create(Member(tenant=tenant, user=user) for user in users)
    last = users[-1].email
    text = admin.get(url).content.decode()
    assert "There are more than are shown" in text
    assert last not in text
    found = admin.get(url, {"search": last.upper()}).content.decode()
    assert last in found
    assert other.user.email not in found
    assert f"members/live?search={last.upper().replace('@', '%40')}" in found
    assert "hopper" not in admin.get(url, {"search": "gra\0ce"}).content.decode()
    assert other.user.email in admin.get(url, {"search": "grace"}).content.decode()
    assert "No member" in admin.get(url, {"search": "<nobody>" * 100}).content.decode()


def test_an_admin_gives_a_role_and_hides_payloads(admin: Client, other: Member, url: str) -> None:
    answer = admin.post(f"{url}/{other.id}", {"role": "VIEWER"}, follow=True)
    assert "is viewer of this tenant now" in answer.content.decode()
    other.refresh_from_db()
    assert (other.role, other.can_view_payloads) == (Role.VIEWER, False)
    admin.post(f"{url}/{other.id}", {"role": "MEMBER", "payloads": "yes"})
    other.refresh_from_db()
    assert (other.role, other.can_view_payloads) == (Role.MEMBER, True)


@pytest.mark.parametrize("role", ["", "KING", "owner", "\0", "OWNER" * 1000])
def test_a_role_that_there_is_not_is_refused(
    role: str, owner: Client, other: Member, url: str
) -> None:
    answer = owner.post(f"{url}/{other.id}", {"role": role})
    assert answer.status_code == 422
    assert "Choose a role" in answer.content.decode()
    assert Member.objects.get(id=other.id).role == Role.MEMBER


def test_only_owners_make_and_unmake_owners(
    owner: Client, admin: Client, tenant: Tenant, other: Member, url: str
) -> None:
    assert 'value="OWNER"' not in admin.get(f"{url}/{other.id}").content.decode()
    assert admin.post(f"{url}/{other.id}", {"role": "OWNER"}).status_code == 422
    assert Member.objects.get(id=other.id).role == Role.MEMBER
    assert owner.post(f"{url}/{other.id}", {"role": "OWNER"}).status_code == 302
    assert Member.objects.get(id=other.id).role == Role.OWNER
    page = admin.get(f"{url}/{other.id}").content.decode()
    assert "Only an owner changes who is owner." in page
    assert "Save" not in page
    assert admin.post(f"{url}/{other.id}", {"role": "VIEWER"}).status_code == 422
    assert Member.objects.get(id=other.id).role == Role.OWNER


def test_nobody_changes_or_removes_themselves(
    tenant: Tenant, url: str, sign_in: Callable[[User], Client]
) -> None:
    user = factories.make_member(tenant, Role.OWNER)
    own = Member.objects.get(user=user)
    browser = sign_in(user)
    page = browser.get(f"{url}/{own.id}").content.decode()
    assert "nobody changes their own role" in page
    assert "Remove…" not in page
    assert browser.post(f"{url}/{own.id}", {"role": "VIEWER"}).status_code == 422
    assert browser.post(f"{url}/{own.id}/remove").status_code == 403
    assert Member.objects.get(id=own.id).role == Role.OWNER


def test_removing_asks_first(owner: Client, other: Member, url: str) -> None:
    assert other.user.email in owner.get(f"{url}/{other.id}/remove").content.decode()
    assert Member.objects.filter(id=other.id).exists()
    answer = owner.post(f"{url}/{other.id}/remove", follow=True)
    assert "is no longer a member" in answer.content.decode()
    assert not Member.objects.filter(id=other.id).exists()
    assert owner.post(f"{url}/{other.id}/remove").status_code == 404


def test_pages_of_a_removed_member_lead_away_and_say_why(
    owner: Client, tenant: Tenant, other: Member, url: str, sign_in: Callable[[User], Client]
) -> None:
    browser = sign_in(other.user)
    live = f"/t/{tenant.slug}/runs/live"
    assert browser.get(live, headers=FRAGMENT).status_code == 200
    owner.post(f"{url}/{other.id}/remove")
    fragment = browser.get(live, headers=FRAGMENT)
    assert (fragment.status_code, fragment.content) == (404, b"")
    page = browser.get(fragment["HX-Redirect"], follow=True).content.decode()
    assert "you are no longer a member" in page
    assert "No tenant yet" in page
    unknown = browser.get("/t/no-such-tenant/runs/live", headers=FRAGMENT)
    assert unknown["HX-Redirect"] == fragment["HX-Redirect"]


def test_a_lowered_role_is_felt_at_once(
    tenant: Tenant, url: str, sign_in: Callable[[User], Client]
) -> None:
    user = factories.make_member(tenant, Role.ADMIN)
    browser = sign_in(user)
    assert browser.get(f"{url}/live", headers=FRAGMENT).status_code == 200
    Member.objects.filter(user=user).update(role=Role.MEMBER)
    fragment = browser.get(f"{url}/live", headers=FRAGMENT)
    assert (fragment.status_code, fragment.content, fragment["HX-Refresh"]) == (403, b"", "true")
    assert "Your role does not allow this" in browser.get(url).content.decode()
