"""With a second factor a password alone opens nothing, and each code works once."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from allauth.mfa.models import Authenticator
from django.core import mail as django_mail
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from tenants.audit.models import AuditEntry
from tenants.models import Role, Tenant, User
from tenants.sign_in import enter, second_factor
from tenants.sign_in_limits import CODES_PER_ACCOUNT
from tenants.tokens import create_token
from tests.dashboard import factories
from tests.dashboard.device import FIELDS, Clock, Device, code_of, codes_of
from tests.mail_servers import settle


def test_codes_are_those_of_the_rfc() -> None:
    secret = base64.b32encode(b"12345678901234567890").decode()
    assert [code_of(secret, at) for at in (59, 1111111109)] == ["287082", "081804"]


@pytest.fixture
def user(tenant: Tenant) -> User:
    return factories.make_member(tenant, Role.MEMBER)


@pytest.fixture
def device(user: User, sign_in: Callable[[User], Client], clock: Clock) -> Device:
    return Device(sign_in(user), clock)


def give_password(user: User, **more: str) -> Client:
    browser = Client()
    answer = browser.post("/login", {"email": user.email, "password": factories.PASSWORD} | more)
    assert (answer.status_code, answer["Location"]) == (302, "/login/code")
    return browser


def give_code(browser: Client, code: str) -> int:
    return browser.post("/login/code", {"code": code}).status_code


def is_signed_in(browser: Client) -> bool:
    return browser.get("/account").status_code == 200


class TestSignIn:
    def test_the_password_alone_opens_nothing(
        self, user: User, tenant: Tenant, device: Device
    ) -> None:
        browser = give_password(user)
        assert not is_signed_in(browser)
        assert browser.get(f"/t/{tenant.slug}/runs").status_code == 302
        assert browser.get("/api/v1/users/current").status_code == 403
        assert user.email in browser.get("/login/code").content.decode()

    def test_the_code_leads_to_where_one_wanted(self, user: User, device: Device) -> None:
        browser = give_password(user, next="/t/x/runs?status=failed")
        code = device.next_code()
        answer = browser.post("/login/code", {"code": f" {code[:3]} {code[3:]} "})
        assert (answer.status_code, answer["Location"]) == (302, "/t/x/runs?status=failed")
        assert is_signed_in(browser)
        assert browser.get("/login/code").status_code == 302

    def test_a_code_works_once(self, user: User, device: Device) -> None:
        code = device.next_code()
        assert give_code(give_password(user), code) == 302
        browser = give_password(user)
        assert give_code(browser, code) == 422
        assert not is_signed_in(browser)
        (told,) = AuditEntry.objects.filter(action="user.sign_in_failed")
        assert told.resource_name == user.email
        assert give_code(browser, device.next_code()) == 302

    def test_the_code_it_was_set_up_with_is_used_up(self, user: User, device: Device) -> None:
        assert give_code(give_password(user), device.code()) == 422

    @pytest.mark.parametrize(("later", "status"), [(-60, 422), (-30, 302), (30, 302), (60, 422)])
    def test_a_clock_may_be_half_a_minute_off(
        self, later: float, status: int, user: User, device: Device
    ) -> None:
        device.clock.at += 300
        assert give_code(give_password(user), device.code(later)) == status

    def test_a_recovery_code_works_once(self, user: User, device: Device) -> None:
        assert len(set(device.recovery_codes)) == 10
        first = device.recovery_codes[0]
        assert give_code(give_password(user), first) == 302
        assert give_code(give_password(user), first) == 422

    @pytest.mark.parametrize(
        "code",
        ["", "12345", "1" * 5_000_00, "\0", "\N{ARABIC-INDIC DIGIT ONE}" * 6, "000000 "],
        ids=["empty", "short", "long", "nul", "arabic", "zeros"],
    )
    def test_what_is_no_code_is_refused(self, code: str, user: User, device: Device) -> None:
        browser = give_password(user)
        assert give_code(browser, code) == 422
        assert not is_signed_in(browser)

    def test_codes_cannot_be_tried_for_ever(self, user: User, device: Device) -> None:
        browser = give_password(user)
        tries = [give_code(browser, "000000") for _ in range(CODES_PER_ACCOUNT - 1)]
        assert set(tries) == {422}
        assert [give_code(browser, "000000") for _ in range(2)][-1] == 429
        assert give_code(give_password(user), device.next_code()) == 429

    def test_half_a_sign_in_does_not_last(
        self, user: User, device: Device, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        browser = give_password(user)
        monkeypatch.setattr(enter, "PENDING_SECONDS", -1)
        assert browser.get("/login/code")["Location"] == "/login"
        assert give_code(browser, device.next_code()) == 302
        assert not is_signed_in(browser)

    def test_it_ends_with_the_password_and_with_the_account(
        self, user: User, device: Device
    ) -> None:
        for change in ("password", "is_active"):
            browser = give_password(user)
            if change == "password":
                user.set_password("another battery staple")
                user.save()
            else:
                User.objects.filter(id=user.id).update(is_active=False)
            give_code(browser, device.next_code())
            assert not is_signed_in(browser)
            user.set_password(factories.PASSWORD)
            user.save()

    def test_the_page_of_the_code_says_nothing_to_others(self, anonymous: Client, db: None) -> None:
        assert anonymous.get("/login/code")["Location"] == "/login"
        assert anonymous.post("/login/code", {"code": "1"})["Location"] == "/login"

    def test_the_code_of_another_is_of_no_use(
        self, user: User, device: Device, tenant: Tenant, sign_in: Callable[[User], Client]
    ) -> None:
        other = factories.make_member(tenant, Role.OWNER)
        others = Device(sign_in(other), device.clock)
        assert give_code(give_password(user), others.next_code()) == 422

    def test_programs_are_told_to_use_a_browser(self, user: User, device: Device) -> None:
        program = Client()
        body = json.dumps({"email": user.email, "password": factories.PASSWORD})
        answer = program.post("/api/v1/users/login", body, "application/json")
        assert answer.status_code == 400
        assert "second factor" in answer.content.decode()
        assert program.get("/api/v1/users/current").status_code == 403

    def test_tokens_need_none(self, tenant: Tenant, device: Device) -> None:
        _, token = create_token(tenant, "ci")
        headers = {"Authorization": f"Bearer {token}"}
        answer = Client().get(f"/api/v1/tenants/{tenant.id}", headers=headers)
        assert answer.status_code == 200


class TestManaging:
    def test_setting_up_needs_the_password_and_a_right_code(
        self, user: User, sign_in: Callable[[User], Client], clock: Clock
    ) -> None:
        browser = sign_in(user)
        page = browser.get("/account/two-factor").content.decode()
        secret = re.findall(r"<code[^>]*>([A-Z2-7]{32})</code>", page)[0]
        good = code_of(secret, clock.at)
        for fields in (
            {"code": good},
            {"code": good, "password": "wrong"},
            {"code": good, "password": "x" * 5000},
            FIELDS | {"code": "000000"},
            FIELDS,
        ):
            assert browser.post("/account/two-factor", fields).status_code == 422
        assert not second_factor.is_set_up(user)
        assert browser.post("/account/two-factor", FIELDS | {"code": good}).status_code == 200
        assert second_factor.is_set_up(user)

    def test_a_code_for_a_key_that_was_never_shown_sets_nothing_up(
        self, user: User, sign_in: Callable[[User], Client], clock: Clock
    ) -> None:
        fields = FIELDS | {"code": code_of("A" * 32, clock.at), "secret": "A" * 32}
        assert sign_in(user).post("/account/two-factor", fields).status_code == 422

    def test_removing_needs_a_code(
        self, user: User, device: Device, sign_in: Callable[[User], Client]
    ) -> None:
        browser = sign_in(user)
        wrong = FIELDS | {"code": "000000", "action": "remove"}
        assert browser.post("/account/two-factor", wrong).status_code == 422
        assert second_factor.is_set_up(user)
        right = {"code": device.next_code(), "action": "remove"}
        assert browser.post("/account/two-factor", right).status_code == 302
        assert not second_factor.is_set_up(user)
        answer = Client().post("/login", {"email": user.email, "password": factories.PASSWORD})
        assert answer["Location"] == "/"
        settle()
        assert "was removed" in django_mail.outbox[-1].body

    def test_new_recovery_codes_replace_the_old_ones(
        self, user: User, device: Device, sign_in: Callable[[User], Client]
    ) -> None:
        browser = sign_in(user)
        assert "10 recovery codes are left" in browser.get("/account/two-factor").content.decode()
        fields = {"code": device.recovery_codes[0], "action": "codes"}
        new = codes_of(browser.post("/account/two-factor", fields))
        assert len(new) == 10
        assert not set(new) & set(device.recovery_codes)
        assert give_code(give_password(user), device.recovery_codes[1]) == 422
        assert give_code(give_password(user), new[0]) == 302

    def test_its_secrets_are_not_in_the_database_as_they_are(
        self, user: User, device: Device
    ) -> None:
        rows = Authenticator.objects.filter(user=user)
        kept = json.dumps([row.data for row in rows])
        assert len(rows) == 2
        assert device.secret not in kept
        assert device.recovery_codes[0] not in kept

    def test_an_operator_helps_who_lost_the_device(self, user: User, device: Device) -> None:
        with pytest.raises(CommandError):
            call_command("removesecondfactor", "nobody@example.org")
        call_command("removesecondfactor", user.email.upper())
        assert not second_factor.is_set_up(user)

    def test_a_new_key_of_encryption_takes_over(
        self, user: User, device: Device, settings: Settings
    ) -> None:
        here = settings.HATCHET
        new = "another key that is long enough"
        settings.HATCHET = replace(here, encryption_keys=(new, *here.encryption_keys))
        call_command("encryptsecrets")
        settings.HATCHET = replace(here, encryption_keys=(new,))
        assert give_code(give_password(user), device.next_code()) == 302
        assert give_code(give_password(user), device.recovery_codes[3]) == 302

    def test_the_anonymous_see_nothing_of_it(self, anonymous: Client, db: None) -> None:
        assert anonymous.get("/account/two-factor").status_code == 302
        assert anonymous.post("/account/two-factor").status_code == 302
