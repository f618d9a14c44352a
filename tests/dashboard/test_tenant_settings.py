"""A tenant on its settings page: made, renamed, left, archived, deleted; and the way between several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client

from tenants.models import Member, Role, Tenant, User
from tests.dashboard import factories


@pytest.fixture
def url(tenant: Tenant) -> str:
    return f"/t/{tenant.slug}/settings"


def test_a_tenant_is_made_by_its_owner(sign_in: Callable[[User], Client], db: None) -> None:
    user = factories.make_user()
    browser = sign_in(user)
    answer = browser.post("/tenants/new", {"name": "Blue Sky", "slug": "blue_1"}, follow=True)
    assert answer.redirect_chain == [("/t/blue_1/", 302)]
    member = Member.objects.get(user=user)
    assert (member.role, member.tenant.name) == (Role.OWNER, "Blue Sky")


@pytest.mark.parametrize(
    "given",
    [
        {"name": "", "slug": "fine"},
        {"name": "x" * 201, "slug": "fine"},
        {"name": "nul\0", "slug": "fine"},
        {"name": "Fine", "slug": "with/slash"},
        {"name": "Fine", "slug": "x" * 101},
        {"name": "Fine", "slug": "größe"},
        {"name": "☃"},
        {"name": "x" * 100_000},
    ],
    ids=["no name", "long", "NUL", "slash", "long slug", "umlaut", "nothing for a slug", "huge"],
)
def test_a_bad_tenant_is_not_made(given: dict[str, str], owner: Client) -> None:
    answer = owner.post("/tenants/new", given)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode()
    assert Tenant.objects.count() == 1


def test_a_slug_is_taken_once(owner: Client, tenant: Tenant) -> None:
    answer = owner.post("/tenants/new", {"name": "Another", "slug": tenant.slug.upper()})
    assert answer.status_code == 422
    assert "exists" in answer.content.decode()


def test_making_tenants_can_be_switched_off(owner: Client, tenant: Tenant, settings: Any) -> None:
    assert "New tenant" in owner.get(f"/t/{tenant.slug}/runs").content.decode()
    people = replace(settings.HATCHET.people, allow_create_tenant=False)
    settings.HATCHET = replace(settings.HATCHET, people=people)
    assert "New tenant" not in owner.get(f"/t/{tenant.slug}/runs").content.decode()
    assert "switched off" in owner.get("/tenants/new").content.decode()
    assert owner.post("/tenants/new", {"name": "Another"}).status_code == 422
    assert Tenant.objects.count() == 1


def test_the_switcher_has_all_tenants_of_the_reader_and_no_other(
    tenant: Tenant, sign_in: Callable[[User], Client]
) -> None:
    user = factories.make_member(tenant, Role.VIEWER)
    other = factories.make_tenant("Beta")
    Member.objects.create(tenant=other, user=user, role=Role.OWNER)
    factories.make_tenant("Gamma")
    page = sign_in(user).get(f"/t/{tenant.slug}/runs").content.decode()
    assert f'href="/t/{other.slug}/"' in page
    assert "Gamma" not in page


def test_a_member_renames_and_a_viewer_reads(
    member: Client, viewer: Client, tenant: Tenant, url: str
) -> None:
    assert "Save" not in viewer.get(url).content.decode()
    answer = member.post(f"{url}/rename", {"name": "  New <name> "}, follow=True)
    assert "New &lt;name&gt;" in answer.content.decode()
    tenant.refresh_from_db()
    assert tenant.name == "New <name>"


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "nul\0", "two\nlines"])
def test_a_bad_name_is_refused(name: str, member: Client, tenant: Tenant, url: str) -> None:
    answer = member.post(f"{url}/rename", {"name": name})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode()
    assert Tenant.objects.get(id=tenant.id).name == tenant.name


def test_leaving_asks_first(tenant: Tenant, url: str, sign_in: Callable[[User], Client]) -> None:
    user = factories.make_member(tenant, Role.VIEWER)
    browser = sign_in(user)
    assert "Leave" in browser.get(f"{url}/leave").content.decode()
    assert Member.objects.filter(user=user).exists()
    answer = browser.post(f"{url}/leave", follow=True)
    assert f"You left {tenant.name}" in answer.content.decode()
    assert not Member.objects.filter(user=user).exists()


def test_the_last_owner_stays(owner: Client, tenant: Tenant, url: str) -> None:
    answer = owner.post(f"{url}/leave")
    assert answer.status_code == 422
    assert "The last owner stays" in answer.content.decode()
    assert Member.objects.filter(tenant=tenant, role=Role.OWNER).count() == 1


def test_an_archived_tenant_says_so_and_comes_back(
    owner: Client, viewer: Client, tenant: Tenant, url: str
) -> None:
    owner.post(f"{url}/archive", {"archived": "yes"})
    tenant.refresh_from_db()
    assert tenant.archived_at is not None
    page = viewer.get(f"/t/{tenant.slug}/runs").content.decode()
    assert "This tenant is archived" in page
    assert "Trigger run" not in page
    assert owner.post(f"{url}/rename", {"name": "Other"}).status_code == 409
    owner.post(f"{url}/archive", {"archived": "perhaps"})
    assert Tenant.objects.get(id=tenant.id).archived_at is not None
    owner.post(f"{url}/archive", {"archived": "no"})
    assert Tenant.objects.get(id=tenant.id).archived_at is None


def test_deleting_needs_the_slug_typed(owner: Client, tenant: Tenant, url: str) -> None:
    assert tenant.slug in owner.get(f"{url}/delete").content.decode()
    for typed in ("", tenant.name, tenant.slug.upper(), "x" * 10_000, "nul\0"):
        answer = owner.post(f"{url}/delete", {"confirm": typed})
        assert answer.status_code == 422
        assert "That is not the slug" in answer.content.decode()
    assert Tenant.objects.filter(id=tenant.id).exists()
    answer = owner.post(f"{url}/delete", {"confirm": f" {tenant.slug} "}, follow=True)
    assert f"{tenant.name} is deleted" in answer.content.decode()
    assert not Tenant.objects.filter(id=tenant.id).exists()
    assert owner.get(url).status_code == 404
