"""Passwords are changed by who knows them, and renewed by who reads the mail of their address."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.tokens import default_token_generator
from django.core import mail as django_mail
from django.test import Client
from pytest_django import Settings

from tenants.models import Role, Tenant, User
from tenants.sign_in_limits import ASKS_PER_ADDRESS, MAILS_PER_ACCOUNT
from tests.dashboard import factories
from tests.mail_servers import settle

NEW = "a better battery staple"


@pytest.fixture
def user(tenant: Tenant) -> User:
    return factories.make_member(tenant, Role.MEMBER)


def ask(client: Client, email: str, **headers: str) -> str:
    answer = client.post("/password/forgot", {"email": email}, headers=headers)
    assert answer.status_code == 200
    settle()
    return str(answer.content.decode())


def link_for(email: str) -> str:
    """The path of the link in the last message, which must have gone to this address alone."""
    message = django_mail.outbox[-1]
    assert message.to == [email]
    found = re.search(
        r"^http://localhost:8080(/password/reset/\S+)$", str(message.body), re.MULTILINE
    )
    assert found
    return found[1]


def choose(client: Client, link: str, new: str = NEW, again: str | None = None) -> int:
    answer = client.post(link, {"new": new, "again": new if again is None else again})
    return answer.status_code


def is_password(user: User, password: str) -> bool:
    return User.objects.get(id=user.id).check_password(password)


def is_signed_in(client: Client) -> bool:
    return client.get("/account").status_code == 200


class TestForgotten:
    def test_the_link_of_the_mail_leads_to_a_new_password(
        self, anonymous: Client, user: User
    ) -> None:
        User.objects.filter(id=user.id).update(is_email_verified=False)
        ask(anonymous, f" {user.email.upper()} ")
        link = link_for(user.email)
        assert user.email in anonymous.get(link).content.decode()
        assert choose(anonymous, link) == 302
        assert is_password(user, NEW)
        assert User.objects.get(id=user.id).is_email_verified
        settle()
        assert "was changed" in django_mail.outbox[-1].body
        assert anonymous.post("/login", {"email": user.email, "password": NEW}).status_code == 302

    def test_it_works_once(self, anonymous: Client, user: User) -> None:
        ask(anonymous, user.email)
        link = link_for(user.email)
        assert choose(anonymous, link) == 302
        assert choose(anonymous, link, "another battery staple") == 404
        assert anonymous.get(link).status_code == 404
        assert is_password(user, NEW)

    def test_looking_at_it_does_not_use_it_up(self, anonymous: Client, user: User) -> None:
        ask(anonymous, user.email)
        link = link_for(user.email)
        assert [anonymous.get(link).status_code for _ in range(3)] == [200, 200, 200]
        assert anonymous.head(link).status_code == 200
        assert choose(anonymous, link) == 302

    @pytest.mark.parametrize(("minutes", "status"), [(59, 302), (61, 404)])
    def test_it_expires_in_an_hour(
        self,
        minutes: int,
        status: int,
        anonymous: Client,
        user: User,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        ask(anonymous, user.email)
        later = datetime.now() + timedelta(minutes=minutes)  # noqa: DTZ005  Django's clock is naive
        monkeypatch.setattr(default_token_generator, "_now", lambda: later)
        assert choose(anonymous, link_for(user.email)) == status
        assert is_password(user, NEW) == (status == 302)

    def test_a_sign_in_after_it_was_sent_makes_it_void(self, anonymous: Client, user: User) -> None:
        ask(anonymous, user.email)
        link = link_for(user.email)
        Client().post("/login", {"email": user.email, "password": factories.PASSWORD})
        assert choose(anonymous, link) == 404

    def test_all_sessions_end(
        self, anonymous: Client, user: User, sign_in: Callable[[User], Client]
    ) -> None:
        browsers = [sign_in(user), sign_in(user)]
        ask(anonymous, user.email)
        assert choose(anonymous, link_for(user.email)) == 302
        assert [is_signed_in(one) for one in browsers] == [False, False]

    def test_nobody_learns_which_accounts_exist(self, anonymous: Client, user: User) -> None:
        inactive = factories.make_user()
        User.objects.filter(id=inactive.id).update(is_active=False)
        texts = {
            ask(anonymous, email).replace(email, "…")
            for email in (user.email, inactive.email, "nobody@example.org")
        }
        assert len({re.sub(r'value="[^"]{64}"', "", text) for text in texts}) == 1
        assert [message.to for message in django_mail.outbox] == [[user.email]]

    @pytest.mark.parametrize("email", ["", "no address", "nul\0@example.org", "x" * 5_000_000])
    def test_what_is_no_address_is_refused(self, email: str, anonymous: Client, db: None) -> None:
        assert anonymous.post("/password/forgot", {"email": email}).status_code in {400, 422}
        assert django_mail.outbox == []

    def test_somebodys_inbox_is_not_filled(self, anonymous: Client, user: User) -> None:
        texts = {ask(anonymous, user.email) for _ in range(MAILS_PER_ACCOUNT + 3)}
        assert len({re.sub(r'value="[^"]{64}"', "", text) for text in texts}) == 1
        assert len(django_mail.outbox) == MAILS_PER_ACCOUNT

    def test_one_address_may_not_ask_for_ever(self, anonymous: Client, db: None) -> None:
        for number in range(ASKS_PER_ADDRESS):
            ask(anonymous, f"nobody{number}@example.org")
        answer = anonymous.post("/password/forgot", {"email": "nobody@example.org"})
        assert answer.status_code == 429

    def test_the_link_is_of_this_site_whatever_the_request_calls_it(
        self, anonymous: Client, user: User
    ) -> None:
        ask(anonymous, user.email, host="127.0.0.1:666")
        assert link_for(user.email)

    @pytest.mark.parametrize(
        "change",
        [
            lambda link: link[:-1] + ("a" if link[-1] != "a" else "b"),
            lambda link: link[:-40],
            lambda link: link.replace("reset/", "reset/00000000"),
            lambda link: "/password/reset/" + "0" * 32 + "-x-y",
            lambda _: "/password/reset/x",
            lambda _: "/password/reset/%00%F0%9F%98%80-%00",
            lambda _: "/password/reset/" + "9" * 5000,
        ],
        ids=["last", "cut", "another id", "nobody", "word", "nul", "long"],
    )
    def test_made_up_links_change_nothing(
        self, change: Callable[[str], str], anonymous: Client, user: User
    ) -> None:
        ask(anonymous, user.email)
        link = change(link_for(user.email))
        assert anonymous.get(link).status_code == 404
        assert choose(anonymous, link) == 404
        assert is_password(user, factories.PASSWORD)

    def test_a_link_is_of_one_person(self, anonymous: Client, user: User, tenant: Tenant) -> None:
        other = factories.make_member(tenant, Role.OWNER)
        ask(anonymous, user.email)
        link = link_for(user.email).replace(user.id.hex, other.id.hex)
        assert choose(anonymous, link) == 404
        assert is_password(other, factories.PASSWORD)

    def test_without_mail_it_says_whom_to_ask(
        self, anonymous: Client, db: None, settings: Settings
    ) -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
        text = anonymous.get("/password/forgot").content.decode()
        assert "sends no mail" in text
        assert 'name="email"' not in text


BAD = [
    pytest.param("short", id="short"),
    pytest.param("password123", id="common"),
    pytest.param("1234567890123", id="digits"),
    pytest.param("x" * 5000, id="long"),
    pytest.param("with a nul \0 inside", id="nul"),
    pytest.param("", id="empty"),
]


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_password_is_refused_with_a_reason(bad: str, anonymous: Client, user: User) -> None:
    ask(anonymous, user.email)
    link = link_for(user.email)
    answer = anonymous.post(link, {"new": bad, "again": bad})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode()
    assert choose(anonymous, link, NEW, "something else") == 422
    assert is_password(user, factories.PASSWORD)
    assert choose(anonymous, link) == 302


class TestChange:
    def change(self, client: Client, old: str, new: str = NEW, again: str = NEW) -> int:
        answer = client.post("/account/password", {"old": old, "new": new, "again": again})
        return answer.status_code

    def test_who_changes_it_stays_and_all_others_go(
        self, user: User, sign_in: Callable[[User], Client]
    ) -> None:
        here, elsewhere = sign_in(user), sign_in(user)
        assert self.change(here, factories.PASSWORD) == 302
        assert is_password(user, NEW)
        assert (is_signed_in(here), is_signed_in(elsewhere)) == (True, False)
        assert here.get("/account").content.decode().count("This one") == 1
        settle()
        assert django_mail.outbox[-1].to == [user.email]

    def test_the_present_one_must_be_known(
        self, user: User, sign_in: Callable[[User], Client]
    ) -> None:
        browser = sign_in(user)
        for old in ("", "wrong", "x" * 5000):
            assert self.change(browser, old) == 422
        assert self.change(browser, factories.PASSWORD, "short", "short") == 422
        assert self.change(browser, factories.PASSWORD, NEW, "different") == 422
        assert is_password(user, factories.PASSWORD)
        assert is_signed_in(browser)

    def test_it_is_no_place_to_guess(self, user: User, sign_in: Callable[[User], Client]) -> None:
        browser = sign_in(user)
        answers = [self.change(browser, "wrong") for _ in range(11)]
        assert (answers[-1], set(answers[:-1])) == (429, {422})
        assert self.change(browser, factories.PASSWORD) == 429

    def test_the_anonymous_change_nothing(self, anonymous: Client, db: None) -> None:
        assert anonymous.post("/account/password", {}).status_code == 302
        assert anonymous.get("/account")["Location"].startswith("/login?next=/account")

    def test_it_needs_a_token_of_the_page(self, user: User) -> None:
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(user)
        assert self.change(browser, factories.PASSWORD) == 403


def test_a_session_of_the_rest_api_ends_with_the_password(
    anonymous: Client, user: User, sign_in: Callable[[User], Client]
) -> None:
    program = Client()
    body = json.dumps({"email": user.email, "password": factories.PASSWORD})
    assert program.post("/api/v1/users/login", body, "application/json").status_code == 200
    assert program.get("/api/v1/users/current").status_code == 200
    ask(anonymous, user.email)
    assert choose(anonymous, link_for(user.email)) == 302
    assert program.get("/api/v1/users/current").status_code == 403
