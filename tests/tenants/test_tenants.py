"""Tenants are made, put to rest and deleted by whoever may, and by nobody by mistake."""

from __future__ import annotations

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from tenants import token_cache
from tenants.access import AccessDenied, access_of_user, accesses_of_user
from tenants.models import APIToken, Environment, Member, Role, Tenant, TenantInvite, User
from tenants.people import tenants
from tenants.people.accepting import accept_link, invites_for
from tenants.people.refusals import Forbidden, Refused, Unknown
from tenants.people.tenants import (
    archive_tenant,
    create_tenant,
    delete_tenant,
    rename_tenant,
    unarchive_tenant,
)
from tenants.tokens import InvalidToken, create_token, verify_token
from tests.cast import Cast, make_user
from tests.tenants.people import NO_MAIL, acting, allow, invite, secret_of


class TestMaking:
    def test_whoever_makes_it_owns_it(self, cast: Cast) -> None:
        tenant = create_tenant(
            cast.viewer, name=" New one ", slug="new-one", environment=Environment.PRODUCTION
        )
        assert (tenant.name, tenant.slug, tenant.environment) == (
            "New one",
            "new-one",
            "production",
        )
        assert access_of_user(cast.viewer, tenant).role == Role.OWNER
        assert Member.objects.filter(tenant=tenant).count() == 1

    @pytest.mark.parametrize("slug", ["acme", "ACME"])
    def test_a_slug_that_is_taken(self, cast: Cast, slug: str) -> None:
        with pytest.raises(Refused) as refused:
            create_tenant(cast.stranger, name="Mine", slug=slug)
        assert refused.value.field == "slug"
        assert not Tenant.objects.filter(name="Mine").exists()

    @pytest.mark.parametrize(
        "slug",
        ["", " ", "a b", "a/b", "a.b", "ä", "a\0", "a\n", "x" * 101, "x" * 5_000_000],
        ids=lambda slug: slug[:4].replace("\0", "NUL"),
    )
    def test_a_slug_that_is_none(self, cast: Cast, slug: str) -> None:
        with pytest.raises(Refused) as refused:
            create_tenant(cast.owner, name="New", slug=slug)
        assert refused.value.field == "slug"

    @pytest.mark.parametrize(
        "name",
        ["", " ", "a\0b", "a\nb", "x" * 5_000_000],
        ids=lambda name: name[:2].replace("\0", "N"),
    )
    def test_a_name_that_is_none(self, cast: Cast, name: str) -> None:
        with pytest.raises(Refused):
            create_tenant(cast.owner, name=name, slug="new")
        with pytest.raises(Refused):
            rename_tenant(acting(cast.owner, cast.tenant), name)
        assert Tenant.objects.get(id=cast.tenant.id).name == "Acme"

    def test_it_can_be_switched_off(self, cast: Cast, settings: Settings) -> None:
        allow(settings, allow_create_tenant=False)
        with pytest.raises(Refused, match="switched off"):
            create_tenant(cast.owner, name="New", slug="new")

    def test_nobody_owns_more_than_so_many(
        self, cast: Cast, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tenants, "MOST_OWNED", 2)
        create_tenant(cast.owner, name="New", slug="new")
        with pytest.raises(Forbidden, match="at most 2"):
            create_tenant(cast.owner, name="Newer", slug="newer")
        create_tenant(cast.viewer, name="Newer", slug="newer")


class TestArchiving:
    def test_tokens_rest_with_it(
        self, cast: Cast, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
    ) -> None:
        access, (_, token) = acting(cast.owner, cast.tenant), create_token(cast.tenant, "ci")
        token_cache.shared.verify(token)
        with django_capture_on_commit_callbacks(execute=True):
            archive_tenant(access)
        with pytest.raises(InvalidToken):
            token_cache.shared.verify(token)
        with django_capture_on_commit_callbacks(execute=True):
            unarchive_tenant(access)
        token_cache.shared.verify(token)

    def test_doing_it_twice_changes_nothing(self, cast: Cast) -> None:
        access = acting(cast.owner, cast.tenant)
        first = archive_tenant(access).archived_at
        assert archive_tenant(access).archived_at == first
        unarchive_tenant(access)
        assert unarchive_tenant(access).archived_at is None

    @pytest.mark.parametrize("role", [Role.ADMIN, Role.MEMBER, Role.VIEWER])
    def test_it_is_for_owners(self, cast: Cast, role: Role) -> None:
        for change in (archive_tenant, unarchive_tenant):
            with pytest.raises(Forbidden, match="OWNER"):
                change(acting(cast.by_role(role), cast.tenant))


class TestDeleting:
    @pytest.mark.parametrize("confirm", ["", "Acme", "acme ", "elsewhere", "x" * 5_000_000])
    def test_not_unless_it_is_meant(self, cast: Cast, confirm: str) -> None:
        with pytest.raises(Refused) as refused:
            delete_tenant(acting(cast.owner, cast.tenant), confirm)
        assert refused.value.field == "confirm"
        assert access_of_user(cast.owner, cast.tenant).role == Role.OWNER

    @pytest.mark.parametrize("role", [Role.ADMIN, Role.MEMBER, Role.VIEWER])
    def test_it_is_for_owners(self, cast: Cast, role: Role) -> None:
        with pytest.raises(Forbidden, match="OWNER"):
            delete_tenant(acting(cast.by_role(role), cast.tenant), "acme")

    def test_nobody_gets_in_and_no_token_works(
        self, cast: Cast, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
    ) -> None:
        _, token = create_token(cast.tenant, "ci")
        _, kept = create_token(cast.other_tenant, "ci")
        token_cache.shared.verify(token)
        with django_capture_on_commit_callbacks(execute=True):
            delete_tenant(acting(cast.owner, cast.tenant), "acme")
        with pytest.raises(InvalidToken):
            token_cache.shared.verify(token)
        with pytest.raises(AccessDenied):
            access_of_user(cast.owner, cast.tenant)
        assert accesses_of_user(cast.owner) == []
        assert not Tenant.objects.filter(id=cast.tenant.id).exists()
        for model in (Member, APIToken, TenantInvite):
            assert not model.objects.filter(tenant=cast.tenant).exists()
        verify_token(kept)
        assert access_of_user(cast.stranger, cast.other_tenant).role == Role.OWNER

    def test_nothing_remains_that_tells_of_it(self, cast: Cast) -> None:
        delete_tenant(acting(cast.owner, cast.tenant), "acme")
        left = Tenant.with_deleted.get(id=cast.tenant.id)
        assert "acme" not in f"{left.name} {left.slug}".lower()
        assert create_tenant(cast.viewer, name="Acme", slug="acme").id != cast.tenant.id

    def test_invites_go_with_it(self, cast: Cast, settings: Settings) -> None:
        settings.EMAIL_BACKEND = NO_MAIL
        secret, user = secret_of(invite(cast.admin, cast.tenant)), make_user("new@acme.test")
        delete_tenant(acting(cast.owner, cast.tenant), "acme")
        assert not invites_for(user).exists()
        with pytest.raises(Refused):
            accept_link(user, secret)

    def test_it_cannot_be_done_twice(self, cast: Cast) -> None:
        access = acting(cast.owner, cast.tenant)
        delete_tenant(access, "acme")
        for change in (
            lambda: delete_tenant(access, "acme"),
            lambda: unarchive_tenant(access),
            lambda: invite(cast.owner, cast.tenant),
        ):
            with pytest.raises((Unknown, AccessDenied)):
                change()

    def test_an_archived_one_too(self, cast: Cast) -> None:
        access = acting(cast.owner, cast.tenant)
        archive_tenant(access)
        delete_tenant(access, "acme")
        assert not Tenant.objects.filter(id=cast.tenant.id).exists()

    def test_a_person_remains(self, cast: Cast) -> None:
        delete_tenant(acting(cast.owner, cast.tenant), "acme")
        assert User.objects.filter(id=cast.owner.id, is_active=True).exists()
