"""An invite makes exactly the person it is for a member, once, within a week."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core import mail
from django.db import connections
from django.utils import timezone
from pytest_django import Settings

from tenants.models import InviteStatus, Member, Role, Tenant, TenantInvite, User
from tenants.people import accepting, invites
from tenants.people.accepting import ANOTHERS, OVER
from tenants.people.members import remove_member, update_member
from tenants.people.refusals import Forbidden, Refused, Unknown
from tests.cast import Cast, make_user
from tests.tenants.people import NO_MAIL, acting, allow, invite, newcomer, secret_in, secret_of

NEW = "new@acme.test"


@pytest.fixture
def _no_mail(settings: Settings) -> None:
    settings.EMAIL_BACKEND = NO_MAIL


def role_of(user: User, cast: Cast) -> str | None:
    member = Member.objects.filter(user=user, tenant=cast.tenant).first()
    return None if member is None else member.role


def test_the_link_goes_by_mail_and_to_nobody_else(cast: Cast) -> None:
    made = invite(cast.admin, cast.tenant, " New@Acme.Test ", Role.VIEWER)
    assert (made.link, made.invite.is_mailed) == (None, True)
    (message,) = mail.outbox
    assert message.to == [NEW]
    assert "Acme" in message.subject
    secret = secret_in(str(message.body))
    assert accepting.invite_of_link(secret).id == made.invite.id
    assert secret.encode() not in bytes(TenantInvite.objects.get().link_digest)


@pytest.mark.usefixtures("_no_mail")
def test_without_mail_whoever_invites_hands_the_link_over(cast: Cast) -> None:
    made = invite(cast.admin, cast.tenant)
    assert not made.invite.is_mailed
    assert accepting.invite_of_link(secret_of(made)).email == NEW


def test_accepting_by_address_gives_the_role_and_the_rights(cast: Cast) -> None:
    made = invites.create_invite(
        acting(cast.admin, cast.tenant), email=NEW, role=Role.VIEWER, can_view_payloads=False
    )
    user = make_user(NEW)
    assert [one.id for one in accepting.invites_for(user)] == [made.invite.id]
    member = accepting.accept_invite(user, made.invite.id)
    assert (member.role, member.can_view_payloads) == (Role.VIEWER, False)
    assert not accepting.invites_for(user).exists()
    assert TenantInvite.objects.get().status == InviteStatus.ACCEPTED


@pytest.mark.usefixtures("_no_mail")
def test_accepting_by_link_confirms_the_address_but_proves_nothing(cast: Cast) -> None:
    user = make_user(NEW)
    User.objects.filter(id=user.id).update(is_email_verified=False, is_email_proven=False)
    user.refresh_from_db()
    accepting.accept_link(user, secret_of(invite(cast.admin, cast.tenant)))
    user.refresh_from_db()
    assert (user.is_email_verified, user.is_email_proven) == (True, False)
    assert role_of(user, cast) == Role.MEMBER


@pytest.mark.usefixtures("_no_mail")
def test_a_link_that_was_handed_over_opens_no_other_tenant(cast: Cast) -> None:
    """An admin who makes an account for somebody else's address gets none of what others offer it."""
    user = make_user(NEW)
    User.objects.filter(id=user.id).update(is_email_proven=False)
    user.refresh_from_db()
    theirs = invite(cast.stranger, cast.other_tenant)
    accepting.accept_link(user, secret_of(invite(cast.admin, cast.tenant)))
    assert not accepting.invites_for(user).exists()
    with pytest.raises(Unknown):
        accepting.accept_invite(user, theirs.invite.id)
    with pytest.raises(Unknown):
        accepting.reject_invite(user, theirs.invite.id)
    assert not Member.objects.filter(user=user, tenant=cast.other_tenant).exists()
    accepting.accept_link(user, secret_of(theirs))
    assert Member.objects.filter(user=user, tenant=cast.other_tenant).exists()


def test_a_mailed_link_proves_the_address(cast: Cast) -> None:
    user = make_user(NEW)
    User.objects.filter(id=user.id).update(is_email_verified=False, is_email_proven=False)
    user.refresh_from_db()
    invite(cast.admin, cast.tenant)
    accepting.accept_link(user, secret_in(str(mail.outbox[0].body)))
    user.refresh_from_db()
    assert (user.is_email_verified, user.is_email_proven) == (True, True)


@pytest.mark.usefixtures("_no_mail")
class TestWhatIsRefused:
    def test_a_second_use(self, cast: Cast) -> None:
        user, made = make_user(NEW), invite(cast.admin, cast.tenant)
        accepting.accept_link(user, secret_of(made))
        for again in (
            lambda: accepting.accept_link(user, secret_of(made)),
            lambda: accepting.accept_invite(user, made.invite.id),
            lambda: accepting.reject_invite(user, made.invite.id),
        ):
            with pytest.raises(Refused, match="was used"):
                again()

    def test_a_rejected_one(self, cast: Cast) -> None:
        user, made = make_user(NEW), invite(cast.admin, cast.tenant)
        accepting.reject_link(user, secret_of(made))
        with pytest.raises(Refused) as refused:
            accepting.accept_invite(user, made.invite.id)
        assert (str(refused.value), role_of(user, cast)) == (OVER, None)

    def test_an_expired_one(self, cast: Cast) -> None:
        user, made = make_user(NEW), invite(cast.admin, cast.tenant)
        TenantInvite.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        with pytest.raises(Refused, match="expired"):
            accepting.accept_link(user, secret_of(made))
        with pytest.raises(Refused, match="expired"):
            accepting.accept_invite(user, made.invite.id)
        assert not accepting.invites_for(user).exists()
        assert not invites.pending_invites(cast.tenant).exists()
        invite(cast.admin, cast.tenant)  # and it does not stand in the way of the next

    def test_that_of_another_address(self, cast: Cast) -> None:
        made = invite(cast.admin, cast.tenant)
        with pytest.raises(Refused) as refused:
            accepting.accept_link(cast.stranger, secret_of(made))
        assert str(refused.value) == ANOTHERS
        with pytest.raises(Unknown):
            accepting.accept_invite(cast.stranger, made.invite.id)
        with pytest.raises(Unknown):
            accepting.accept_invite(cast.stranger, uuid4())
        assert role_of(cast.stranger, cast) is None

    @pytest.mark.parametrize(
        "secret", ["", "x", "\0", "ä" * 5_000_000], ids=["none", "short", "nul", "long"]
    )
    def test_a_made_up_link(self, cast: Cast, secret: str) -> None:
        invite(cast.admin, cast.tenant)
        with pytest.raises(Refused, match="ask for a new one"):
            accepting.invite_of_link(secret)

    def test_one_that_was_withdrawn(self, cast: Cast) -> None:
        user, made = make_user(NEW), invite(cast.admin, cast.tenant)
        invites.withdraw_invite(acting(cast.admin, cast.tenant), made.invite.id)
        with pytest.raises(Refused):
            accepting.accept_link(user, secret_of(made))

    def test_the_old_link_of_a_renewed_one(self, cast: Cast) -> None:
        user, made = make_user(NEW), invite(cast.admin, cast.tenant)
        again = invites.renew_invite(acting(cast.admin, cast.tenant), made.invite.id)
        with pytest.raises(Refused):
            accepting.accept_link(user, secret_of(made))
        accepting.accept_link(user, secret_of(again))
        assert role_of(user, cast) == Role.MEMBER

    @pytest.mark.parametrize(
        "email",
        ["", "nobody", "a@b", "a b@c.de", "a\0@c.de", "a@c.de\nBcc: x@y.zz", "x" * 300 + "@c.de"],
    )
    def test_what_is_no_address(self, cast: Cast, email: str) -> None:
        with pytest.raises(Refused) as refused:
            invite(cast.admin, cast.tenant, email)
        assert refused.value.field == "email"
        assert not TenantInvite.objects.exists()

    def test_members_and_who_is_invited_already(self, cast: Cast) -> None:
        invite(cast.admin, cast.tenant)
        for email in ("NEW@acme.test", cast.viewer.email):
            with pytest.raises(Refused, match="already"):
                invite(cast.admin, cast.tenant, email)
        assert TenantInvite.objects.count() == 1

    def test_more_than_can_be_pending(self, cast: Cast, settings: Settings) -> None:
        allow(settings, max_pending_invites=2)
        first = invite(cast.admin, cast.tenant, "a@acme.test")
        invite(cast.admin, cast.tenant, "b@acme.test")
        with pytest.raises(Forbidden, match="at most 2"):
            invite(cast.admin, cast.tenant, "c@acme.test")
        accepting.reject_link(make_user("a@acme.test"), secret_of(first))
        invite(cast.admin, cast.tenant, "c@acme.test")

    def test_all_when_invites_are_switched_off(self, cast: Cast, settings: Settings) -> None:
        allow(settings, allow_invites=False)
        with pytest.raises(Refused, match="switched off"):
            invite(cast.owner, cast.tenant)


@pytest.mark.usefixtures("_no_mail")
class TestWhoMayOffer:
    @pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
    def test_not_those_below_an_admin(self, cast: Cast, role: Role) -> None:
        with pytest.raises(Forbidden, match="ADMIN"):
            invite(cast.by_role(role), cast.tenant)

    def test_only_an_owner_offers_to_be_one(self, cast: Cast) -> None:
        with pytest.raises(Refused, match="OWNER"):
            invite(cast.admin, cast.tenant, role=Role.OWNER)
        made = invite(cast.owner, cast.tenant, role=Role.OWNER)
        admin = acting(cast.admin, cast.tenant)
        with pytest.raises(Refused, match="OWNER"):
            invites.update_invite(admin, made.invite.id, role=Role.MEMBER)
        with pytest.raises(Refused, match="OWNER"):
            invites.renew_invite(admin, made.invite.id)

    def test_an_admin_cannot_turn_an_offer_into_ownership(self, cast: Cast) -> None:
        made = invite(cast.admin, cast.tenant)
        admin = acting(cast.admin, cast.tenant)
        with pytest.raises(Refused, match="OWNER"):
            invites.update_invite(admin, made.invite.id, role=Role.OWNER)
        changed = invites.update_invite(
            admin, made.invite.id, role=Role.VIEWER, can_view_payloads=False
        )
        assert (changed.role, changed.can_view_payloads) == (Role.VIEWER, False)

    def test_offers_of_another_tenant_are_not_there(self, cast: Cast) -> None:
        theirs = invite(cast.stranger, cast.other_tenant).invite.id
        owner = acting(cast.owner, cast.tenant)
        for change in (
            lambda: invites.update_invite(owner, theirs, role=Role.MEMBER),
            lambda: invites.renew_invite(owner, theirs),
            lambda: invites.withdraw_invite(owner, theirs),
        ):
            with pytest.raises(Unknown):
                change()
        assert TenantInvite.objects.filter(id=theirs, role=Role.MEMBER).exists()


@pytest.mark.usefixtures("_no_mail")
class TestTheInviter:
    """Whoever was removed keeps no way back in."""

    def test_what_a_removed_admin_offered_is_withdrawn(self, cast: Cast) -> None:
        made = invite(cast.admin, cast.tenant)
        kept = invite(cast.owner, cast.tenant, "kept@acme.test")
        member = Member.objects.get(user=cast.admin, tenant=cast.tenant)
        remove_member(acting(cast.owner, cast.tenant), member.id)
        assert [one.id for one in TenantInvite.objects.all()] == [kept.invite.id]
        with pytest.raises(Refused):
            accepting.accept_link(make_user(NEW), secret_of(made))

    def test_what_somebody_could_not_offer_any_more_is_withdrawn(self, cast: Cast) -> None:
        second = make_user("second@acme.test")
        member = Member.objects.create(tenant=cast.tenant, user=second, role=Role.OWNER)
        invite(second, cast.tenant, "owner2@acme.test", Role.OWNER)
        invite(second, cast.tenant, "member2@acme.test", Role.MEMBER)
        owner = acting(cast.owner, cast.tenant)
        update_member(owner, member.id, role=Role.ADMIN)
        assert [one.email for one in TenantInvite.objects.all()] == ["member2@acme.test"]
        update_member(owner, member.id, role=Role.MEMBER)
        assert not TenantInvite.objects.exists()

    def test_an_offer_outlives_an_account_that_is_gone(self, cast: Cast) -> None:
        made = invite(cast.owner, cast.tenant)
        cast.owner.delete()
        assert accepting.invite_of_link(secret_of(made)).invited_by is None


@pytest.mark.usefixtures("_no_mail")
def test_who_is_a_member_meanwhile_keeps_their_role(cast: Cast) -> None:
    user, made = make_user(NEW), invite(cast.admin, cast.tenant, role=Role.VIEWER)
    Member.objects.create(tenant=cast.tenant, user=user, role=Role.ADMIN)
    accepting.accept_link(user, secret_of(made))
    assert role_of(user, cast) == Role.ADMIN


def test_names_get_into_a_mail_as_one_line(cast: Cast) -> None:
    User.objects.filter(id=cast.admin.id).update(name="A\nBcc: evil@x.zz")
    cast.tenant.name = "Acme\r\nBcc: evil@x.zz"
    cast.tenant.save()
    cast.admin.refresh_from_db()
    invite(cast.admin, cast.tenant)
    (message,) = mail.outbox
    assert "\n" not in message.subject
    assert message.recipients() == [NEW]


@pytest.mark.usefixtures("committed_db")
def test_one_link_is_used_once_however_many_try(settings: Settings) -> None:
    settings.EMAIL_BACKEND = NO_MAIL
    tenant = Tenant.objects.create(name="Many", slug=f"many-{uuid4()}")
    owner, user = newcomer(tenant), make_user(f"{uuid4()}@acme.test")
    secret, start = secret_of(invite(owner, tenant, user.email)), threading.Barrier(4)

    def tried() -> bool:
        try:
            start.wait(60)
            accepting.accept_link(User.objects.get(id=user.id), secret)
        except Refused:
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(4) as pool:
        results = [one.result(120) for one in [pool.submit(tried) for _ in range(4)]]
    assert sorted(results) == [False, False, False, True]
    assert Member.objects.filter(tenant=tenant, user=user).count() == 1
