"""What works once works once, also for two who use it in the same moment through two processes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core import mail as django_mail
from django.db import connections

from tenants import passwords
from tenants.models import User
from tenants.sign_in import second_factor
from tests.cast import make_user
from tests.mail_servers import settle

STEP = 60_000_000


@pytest.fixture
def user(committed_db: None) -> User:
    return make_user(f"{uuid4()}@once.test")


@pytest.fixture
def secret(user: User, monkeypatch: pytest.MonkeyPatch) -> str:
    steps = (STEP - 1, STEP, STEP + 1)
    monkeypatch.setattr(second_factor, "yield_hotp_counters_from_time", lambda: steps)
    return second_factor.new_secret()


def code(secret: str, step: int = STEP) -> str:
    return str(format_hotp_value(hotp_value(secret, step)))


def both(act: Callable[[], object]) -> list[bool]:
    """Whether it worked, for two who do the same at once."""
    start = threading.Barrier(2)

    def acted() -> bool:
        try:
            start.wait(60)
            return bool(act())
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        return sorted(one.result(120) for one in [pool.submit(acted), pool.submit(acted)])


def test_a_code_of_the_app(user: User, secret: str) -> None:
    assert second_factor.set_up(user, secret, code(secret, STEP - 1))
    assert both(lambda: second_factor.check(user, code(secret))) == [False, True]


def test_a_recovery_code(user: User, secret: str) -> None:
    codes = second_factor.set_up(user, secret, code(secret))
    assert codes
    assert both(lambda: second_factor.check(user, codes[0])) == [False, True]
    assert second_factor.recovery_codes_left(user) == 9


def test_setting_up(user: User, secret: str) -> None:
    assert both(lambda: second_factor.set_up(user, secret, code(secret))) == [False, True]


def test_a_link_to_choose_a_new_password(user: User) -> None:
    passwords.send_reset(user.email, lambda made: f"<{made}>")
    settle()
    code = str(django_mail.outbox[-1].body).partition("<")[2].partition(">")[0]
    assert both(lambda: passwords.reset(code, "a better battery staple")) == [False, True]
    settle()
    told = [one for one in django_mail.outbox if one.to == [user.email]]
    assert len(told) == 2
