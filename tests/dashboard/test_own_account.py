"""One's own account: where one is signed in, ending that, and an address that is confirmed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.sessions.models import Session
from django.core import mail as django_mail
from django.core import signing
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tenants import confirmation, sessions
from tenants.models import BrowserSession, Role, Tenant, User
from tests.dashboard import factories
from tests.mail_servers import settle

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36"
)


@pytest.fixture
def user(tenant: Tenant) -> User:
    return factories.make_member(tenant, Role.MEMBER)


def enter(user: User, agent: str = FIREFOX, address: str = "192.0.2.7") -> Client:
    """A browser that signed in by the form."""
    browser = Client(headers={"User-Agent": agent}, REMOTE_ADDR=address)
    fields = {"email": user.email, "password": factories.PASSWORD}
    assert browser.post("/login", fields).status_code == 302
    return browser


def page(browser: Client) -> str:
    return str(browser.get("/account").content.decode())


def is_signed_in(browser: Client) -> bool:
    return browser.get("/account").status_code == 200


class TestSessions:
    def test_each_says_what_it_is_and_where(self, user: User) -> None:
        here = enter(user)
        enter(user, CHROME, "2001:db8::7")
        program = Client(headers={"User-Agent": "curl/8.0"}, REMOTE_ADDR="198.51.100.9")
        body = json.dumps({"email": user.email, "password": factories.PASSWORD})
        assert program.post("/api/v1/users/login", body, "application/json").status_code == 200
        text = page(here)
        for word in ("Firefox on Linux", "Chrome on Windows", "curl"):
            assert word in text
        for address in ("192.0.2.7", "2001:db8::7", "198.51.100.9"):
            assert address in text
        assert text.count("This one") == 1
        assert str(here.session.session_key) not in text

    def test_one_is_ended_and_the_others_stay(self, user: User) -> None:
        here, there, third = enter(user), enter(user), enter(user)
        row = BrowserSession.objects.get(session_key=there.session.session_key)
        assert here.post(f"/account/sessions/{row.id}/end").status_code == 302
        assert [is_signed_in(one) for one in (here, there, third)] == [True, False, True]
        assert here.post(f"/account/sessions/{row.id}/end").status_code == 404

    def test_all_others_are_ended(self, user: User) -> None:
        here, *others = (enter(user) for _ in range(4))
        assert here.post("/account/sessions/end").status_code == 302
        assert is_signed_in(here)
        assert not any(is_signed_in(one) for one in others)
        assert Session.objects.count() == 1
        assert BrowserSession.objects.count() == 1

    def test_nobody_sees_or_ends_those_of_others(self, user: User, tenant: Tenant) -> None:
        browser = enter(user, address="192.0.2.99")
        other = enter(factories.make_member(tenant, Role.OWNER))
        row = BrowserSession.objects.get(user=user)
        assert "192.0.2.99" not in page(other)
        assert other.post(f"/account/sessions/{row.id}/end").status_code == 404
        assert other.post(f"/account/sessions/{uuid4()}/end").status_code == 404
        other.post("/account/sessions/end")
        assert is_signed_in(browser)

    def test_open_sockets_learn_of_it(self, user: User, tenant: Tenant) -> None:
        here, there = enter(user), enter(user)
        seats = {sessions.Seat(one.session.session_key or "", tenant.id) for one in (here, there)}
        assert sessions.seats_kept(seats) == seats
        here.post("/account/sessions/end")
        (kept,) = sessions.seats_kept(seats)
        assert kept.session_key == here.session.session_key

    def test_signing_out_and_expiring_take_them_off_the_list(self, user: User) -> None:
        here, there = enter(user), enter(user, address="192.0.2.50")
        expiring = enter(user, address="192.0.2.51")
        there.post("/logout")
        past = timezone.now() - timedelta(seconds=1)
        key = expiring.session.session_key
        Session.objects.filter(session_key=key).update(expire_date=past)
        text = page(here)
        assert "192.0.2.50" not in text
        assert "192.0.2.51" not in text

    def test_what_is_left_of_expired_ones_is_swept_at_the_next_sign_in(self, user: User) -> None:
        key = enter(user).session.session_key
        ages_ago = timezone.now() - timedelta(days=40)
        Session.objects.filter(session_key=key).update(expire_date=ages_ago)
        BrowserSession.objects.filter(session_key=key).update(last_seen_at=ages_ago)
        enter(user)
        enter(user)
        assert not Session.objects.filter(session_key=key).exists()
        assert not BrowserSession.objects.filter(session_key=key).exists()

    def test_being_seen_is_written_down_once_in_a_while(
        self, user: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        browser = enter(user)
        ages_ago = timezone.now() - timedelta(days=2)
        row = BrowserSession.objects.filter(user=user)
        row.update(last_seen_at=ages_ago)
        page(browser)
        assert row.get().last_seen_at == ages_ago
        monkeypatch.setattr(sessions, "SEEN_SECONDS", 0.0)
        browser.get("/account", REMOTE_ADDR="203.0.113.5")
        seen = row.get()
        assert seen.last_seen_at > ages_ago + timedelta(days=1)
        assert seen.address == "203.0.113.5"

    def test_one_from_before_they_were_written_down_is_listed_when_it_is_used(
        self, user: User
    ) -> None:
        browser = enter(user)
        BrowserSession.objects.all().delete()
        sessions._seen.clear()
        assert "Firefox on Linux" in page(browser)

    def test_a_page_costs_no_statement_more(
        self, user: User, tenant: Tenant, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        browser = enter(user)
        browser.get(f"/t/{tenant.slug}/tokens")
        with django_assert_num_queries(3):  # the session, its user, their memberships
            browser.get(f"/t/{tenant.slug}/tokens")

    @pytest.mark.parametrize(
        "agent", ["", "<script>alert(1)</script>", "x" * 60_000, "tab\there"], ids=str.__len__
    )
    def test_whatever_a_browser_calls_itself_is_only_text(self, agent: str, user: User) -> None:
        text = page(enter(user, agent))
        assert "<script>alert" not in text
        assert "Unknown program" in text
        assert len(BrowserSession.objects.get(user=user).agent) <= 300

    def test_where_no_address_is_known_there_is_none(self, user: User) -> None:
        assert is_signed_in(enter(user, address=""))
        assert BrowserSession.objects.get(user=user).address is None


def test_ending_sessions_needs_a_post_with_a_token_of_the_page(user: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    row = BrowserSession.objects.get(user=user)
    for path in ("/account/sessions/end", f"/account/sessions/{row.id}/end"):
        assert browser.get(path).status_code == 405
        assert browser.post(path).status_code == 403


class TestConfirmation:
    @pytest.fixture
    def unconfirmed(self, user: User) -> User:
        User.objects.filter(id=user.id).update(is_email_verified=False)
        user.refresh_from_db()
        return user

    def link(self, user: User, browser: Client) -> str:
        assert browser.post("/account/confirmation").status_code == 302
        settle()
        message = django_mail.outbox[-1]
        assert message.to == [user.email]
        found = re.search(r"^http://localhost:8080(/confirm/\S+)$", str(message.body), re.MULTILINE)
        assert found
        return found[1]

    def test_the_link_of_the_mail_opens_the_tenants(
        self,
        unconfirmed: User,
        tenant: Tenant,
        anonymous: Client,
        sign_in: Callable[[User], Client],
    ) -> None:
        browser = sign_in(unconfirmed)
        assert "Send it again" in browser.get("/").content.decode()
        link = self.link(unconfirmed, browser)
        assert anonymous.get(link).status_code == 200
        assert browser.get(f"/t/{tenant.slug}/runs").status_code == 403
        assert anonymous.post(link).status_code == 302
        assert browser.get(f"/t/{tenant.slug}/runs").status_code == 200

    def test_it_is_of_the_address_it_was_sent_to(
        self, unconfirmed: User, anonymous: Client, sign_in: Callable[[User], Client]
    ) -> None:
        link = self.link(unconfirmed, sign_in(unconfirmed))
        User.objects.filter(id=unconfirmed.id).update(email="other@example.org")
        assert anonymous.post(link).status_code == 404
        assert not User.objects.get(id=unconfirmed.id).is_email_verified

    def test_old_and_made_up_links_confirm_nothing(
        self, unconfirmed: User, anonymous: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = signing.dumps([str(unconfirmed.id), unconfirmed.email], salt="another")
        for code in ("x", "a:b:c", other):
            assert anonymous.post(f"/confirm/{code}").status_code == 404
        good = signing.dumps([str(unconfirmed.id), unconfirmed.email], salt=confirmation._SALT)
        monkeypatch.setattr(confirmation, "LIFETIME_SECONDS", -1)
        assert anonymous.post(f"/confirm/{good}").status_code == 404
        assert not User.objects.get(id=unconfirmed.id).is_email_verified

    def test_whoever_is_confirmed_gets_no_mail(self, member: Client) -> None:
        assert member.post("/account/confirmation").status_code == 302
        settle()
        assert django_mail.outbox == []
