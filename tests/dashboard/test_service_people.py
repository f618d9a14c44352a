"""Who is let in of those whom another service names, and with which roles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client
from pytest_django import Settings

from tenants.models import Member, Role, Tenant, User
from tests.dashboard import factories
from tests.dashboard.device import Clock, Device
from tests.dashboard.service_sign_in import EMAIL, come, configure, is_signed_in, sentence
from tests.identity_providers import IdentityProvider

pytestmark = pytest.mark.usefixtures("offered")


class TestWhoIsLetIn:
    def test_strangers_are_not(self, anonymous: Client, db: None, idp: IdentityProvider) -> None:
        come(anonymous, idp, "eve-1", email="eve@acme.test")
        assert not is_signed_in(anonymous)
        assert "Ask for an invite" in sentence(anonymous)
        assert not User.objects.filter(email="eve@acme.test").exists()

    def test_anybody_may_where_signing_up_is_allowed(
        self, anonymous: Client, db: None, idp: IdentityProvider, settings: Settings
    ) -> None:
        configure(settings, idp.issuer, allow_signup=True)
        come(anonymous, idp, "bob-1", email="bob@acme.test", name="Bob \0 Builder" + "x" * 500)
        assert is_signed_in(anonymous)
        bob = User.objects.get(email="bob@acme.test")
        assert (bob.is_email_verified, bob.has_usable_password()) == (True, False)
        assert bob.name.startswith("Bob")
        assert "have no password here" in anonymous.get("/account").content.decode()

    def test_an_address_that_the_service_has_not_verified_opens_nothing(
        self, anonymous: Client, ann: User, idp: IdentityProvider
    ) -> None:
        for number, verified in enumerate((False, None, "false")):
            come(anonymous, idp, f"unverified-{number}", email_verified=verified)
            assert not is_signed_in(anonymous)
        assert not SocialAccount.objects.exists()

    def test_an_account_whose_address_nobody_proved_is_not_handed_over(
        self, anonymous: Client, ann: User, idp: IdentityProvider
    ) -> None:
        User.objects.filter(id=ann.id).update(is_email_proven=False)
        come(anonymous, idp)
        assert not is_signed_in(anonymous)
        assert "nobody has proven" in sentence(anonymous)

    def test_only_allowed_domains_enter(
        self, anonymous: Client, ann: User, idp: IdentityProvider, settings: Settings
    ) -> None:
        configure(settings, idp.issuer, allow_signup=True, email_domains=("acme.test",))
        for email in ("x@other.test", "x@acme.test.other.test", "x@sub.acme.test", "xacme.test"):
            come(anonymous, idp, f"foreign {email}", email=email)
            assert not is_signed_in(anonymous)
        come(anonymous, idp)
        assert is_signed_in(anonymous)

    def test_one_who_was_switched_off_stays_out(
        self, anonymous: Client, ann: User, idp: IdentityProvider
    ) -> None:
        come(Client(), idp)
        User.objects.filter(id=ann.id).update(is_active=False)
        come(anonymous, idp)
        assert not is_signed_in(anonymous)

    def test_an_identity_without_an_address_is_refused(
        self, anonymous: Client, db: None, idp: IdentityProvider, settings: Settings
    ) -> None:
        configure(settings, idp.issuer, allow_signup=True)
        for number, email in enumerate(("", "no address", "a@b.test\r\nBcc: c@d.test", None)):
            come(anonymous, idp, f"none-{number}", email=email)
            assert not is_signed_in(anonymous)
        assert not User.objects.exists()

    def test_the_second_factor_is_asked_for_all_the_same(
        self,
        anonymous: Client,
        ann: User,
        idp: IdentityProvider,
        sign_in: Callable[[User], Client],
        clock: Clock,
    ) -> None:
        device = Device(sign_in(ann), clock)
        assert come(anonymous, idp)["Location"] == "/login/code"
        assert not is_signed_in(anonymous)
        assert anonymous.post("/login/code", {"code": device.next_code()}).status_code == 302
        assert is_signed_in(anonymous)


class TestGroups:
    @pytest.fixture
    def acme(self, db: None) -> Tenant:
        return Tenant.objects.create(name="Acme", slug="acme")

    def role(self, acme: Tenant, email: str = EMAIL) -> str | None:
        member = Member.objects.filter(tenant=acme, user__email=email).first()
        return member.role if member else None

    def test_a_group_lets_in_and_gives_the_highest_role(
        self, anonymous: Client, acme: Tenant, idp: IdentityProvider
    ) -> None:
        come(anonymous, idp, groups=["staff", "chiefs", "others"])
        assert is_signed_in(anonymous)
        assert self.role(acme) == "ADMIN"

    def test_roles_follow_the_groups(
        self, anonymous: Client, acme: Tenant, idp: IdentityProvider
    ) -> None:
        for groups, role in (
            (["staff"], "MEMBER"),
            (["chiefs"], "ADMIN"),
            (["staff"], "MEMBER"),
            ([], None),
            ("staff", "MEMBER"),
        ):
            come(Client(), idp, groups=groups)
            assert self.role(acme) == role

    @pytest.mark.parametrize("groups", [None, 5, {"staff": 1}, [["staff"]], [None], ["Staff"]])
    def test_what_is_no_group_gives_nothing(
        self, groups: Any, anonymous: Client, acme: Tenant, idp: IdentityProvider
    ) -> None:
        come(anonymous, idp, groups=groups)
        assert not is_signed_in(anonymous)
        assert self.role(acme) is None

    def test_a_membership_given_here_stays_as_it_is(
        self, acme: Tenant, idp: IdentityProvider
    ) -> None:
        user = factories.make_user(EMAIL)
        Member.objects.create(tenant=acme, user=user, role=Role.VIEWER)
        for groups in (["chiefs"], []):
            come(Client(), idp, groups=groups)
            assert self.role(acme) == "VIEWER"

    def test_the_last_owner_stays(self, acme: Tenant, idp: IdentityProvider) -> None:
        come(Client(), idp, groups=["staff"])
        Member.objects.filter(tenant=acme).update(role=Role.OWNER)
        come(Client(), idp, groups=[])
        assert self.role(acme) == "OWNER"
