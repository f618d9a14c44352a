"""Who may make an account, and what it is worth."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.core import mail
from django.db import connections
from pytest_django import Settings

from tenants import mail as mails
from tenants.access import may_enter
from tenants.bootstrap import bootstrap
from tenants.installation import installation
from tenants.models import InviteStatus, Member, Role, Tenant, TenantInvite, User
from tenants.people.accepting import ANOTHERS
from tenants.people.refusals import Refused
from tenants.people.register import NOT_POSSIBLE, SWITCHED_OFF, Registration, may_sign_up, register
from tests.cast import PASSWORD, Cast, make_user
from tests.tenants.people import NO_MAIL, allow, invite, secret_in, secret_of

NEW = "new@acme.test"


def given(
    email: str = NEW, password: str = PASSWORD, name: str = "New", link: str = ""
) -> Registration:
    return Registration(email=email, name=name, password=password, link=link)


def test_nobody_registers_where_it_is_not_allowed(cast: Cast) -> None:
    """And nobody learns there who has an account or an invite."""
    invite(cast.admin, cast.tenant)
    said = set()
    for email in (NEW, cast.owner.email, "nobody@acme.test", "no address"):
        with pytest.raises(Refused) as refused:
            register(given(email))
        said.add(str(refused.value))
    assert said == {SWITCHED_OFF}
    assert not may_sign_up()


class TestWithALink:
    def test_whoever_holds_it_registers_and_is_in(self, cast: Cast, settings: Settings) -> None:
        settings.EMAIL_BACKEND = NO_MAIL
        made = invite(cast.admin, cast.tenant, role=Role.VIEWER)
        user = register(given("NEW@acme.test", link=secret_of(made)))
        assert (user.email, user.check_password(PASSWORD), may_enter(user)) == (NEW, True, True)
        assert not User.objects.get(email=NEW).is_email_proven
        assert Member.objects.get(user=user).role == Role.VIEWER
        assert TenantInvite.objects.get().status == InviteStatus.ACCEPTED

    def test_one_that_was_mailed_proves_the_address(self, cast: Cast) -> None:
        invite(cast.admin, cast.tenant)
        register(given(link=secret_in(str(mail.outbox[0].body))))
        assert User.objects.get(email=NEW).is_email_proven

    def test_not_for_another_address(self, cast: Cast, settings: Settings) -> None:
        settings.EMAIL_BACKEND = NO_MAIL
        secret = secret_of(invite(cast.admin, cast.tenant))
        with pytest.raises(Refused) as refused:
            register(given("other@acme.test", link=secret))
        assert str(refused.value) == ANOTHERS
        assert not User.objects.filter(email__in=[NEW, "other@acme.test"]).exists()

    def test_not_twice_and_not_by_a_made_up_one(self, cast: Cast, settings: Settings) -> None:
        settings.EMAIL_BACKEND = NO_MAIL
        allow(settings, allow_signup=True, set_email_verified=True)
        secret = secret_of(invite(cast.admin, cast.tenant))
        register(given(link=secret))
        for link in (secret, "made-up"):
            with pytest.raises(Refused, match="ask for a new one"):
                register(given(link=link))

    def test_the_domain_does_not_matter(self, cast: Cast, settings: Settings) -> None:
        settings.EMAIL_BACKEND = NO_MAIL
        allow(settings, email_domains=("elsewhere.test",))
        register(given(link=secret_of(invite(cast.admin, cast.tenant))))

    def test_an_account_there_is_stays_as_it_is(self, cast: Cast, settings: Settings) -> None:
        settings.EMAIL_BACKEND = NO_MAIL
        make_user(NEW)
        with pytest.raises(Refused) as refused:
            register(
                given(password="Another-horse-8", link=secret_of(invite(cast.admin, cast.tenant)))
            )
        assert str(refused.value) == NOT_POSSIBLE
        assert User.objects.get(email=NEW).check_password(PASSWORD)
        assert TenantInvite.objects.get().status == InviteStatus.PENDING


class TestSigningUp:
    @pytest.fixture(autouse=True)
    def _open(self, cast: Cast, settings: Settings) -> None:
        allow(settings, allow_signup=True)

    def test_an_address_is_to_be_confirmed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(mails, "send_soon", mails.send_message)  # waits for it
        user = register(given())
        assert not may_enter(user)
        (message,) = mail.outbox
        assert message.to == [NEW]
        assert not Member.objects.filter(user=user).exists()

    def test_unless_who_runs_the_server_vouches_for_it(self, settings: Settings) -> None:
        allow(settings, set_email_verified=True)
        assert may_enter(register(given()))
        assert mail.outbox == []

    def test_a_known_address_and_a_foreign_domain_are_refused_alike(
        self, settings: Settings
    ) -> None:
        allow(settings, email_domains=("acme.test", ".acme.test"))
        said = set()
        for email in ("OWNER@acme.test", "new@evil-acme.test", "new@acme.test.evil.zz"):
            with pytest.raises(Refused) as refused:
                register(given(email))
            said.add(str(refused.value))
        assert said == {NOT_POSSIBLE}
        for email in ("new@acme.test", "new@eu.acme.test"):
            register(given(email))

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("email", ""),
            ("email", "a\0@acme.test"),
            ("email", "x" * 5_000_000),
            ("name", ""),
            ("name", " "),
            ("name", "a\0b"),
            ("name", "a\nb"),
            ("name", "x" * 5_000_000),
            ("password", ""),
            ("password", "short"),
            ("password", "x" * 5_000_000),
        ],
        ids=lambda value: str(value)[:8].replace("\0", "NUL"),
    )
    def test_what_is_wrong_is_named_and_nothing_is_made(self, field: str, value: str) -> None:
        with pytest.raises(Refused) as refused:
            register(given(**{field: value}))
        assert refused.value.field == field
        assert not User.objects.filter(email=NEW).exists()


class TestTheFirstPerson:
    @pytest.fixture(autouse=True)
    def _nobody(self, db: None) -> None:
        User.objects.all().delete()  # what tests that commit have left
        Tenant.with_deleted.all().delete()

    def test_registers_without_mail_and_owns_the_first_tenant(self) -> None:
        assert may_sign_up()
        user = register(given())
        assert may_enter(user)
        member = Member.objects.get(user=user)
        assert (member.role, member.tenant.slug) == (Role.OWNER, "default")
        with pytest.raises(Refused, match="switched off"):
            register(given("second@acme.test"))

    def test_is_followed_by_no_default_admin(self) -> None:
        register(given())
        assert bootstrap(installation()).admin_password is None
        assert [one.email for one in User.objects.all()] == [NEW]


@pytest.mark.usefixtures("committed_db")
def test_one_address_registers_once_however_many_try(settings: Settings) -> None:
    allow(settings, allow_signup=True, set_email_verified=True)
    make_user(f"{uuid4()}@acme.test")  # somebody is there already
    email, start = f"{uuid4()}@acme.test", threading.Barrier(4)

    def tried() -> bool:
        try:
            start.wait(60)
            register(given(email))
        except Refused:
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(4) as pool:
        results = [one.result(120) for one in [pool.submit(tried) for _ in range(4)]]
    assert sorted(results) == [False, False, False, True]
