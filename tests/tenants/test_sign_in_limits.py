"""Guessing at passwords is slowed down for whoever guesses, and for nobody else."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from tenants import sign_in_limits
from tenants.models import SignInTries
from tests.cast import PASSWORD, Cast

PER_PAIR = sign_in_limits.TRIES_PER_ADDRESS_AND_ACCOUNT
OWNER = "owner@acme.test"
WRONG, REFUSED, IN = 400, 429, 200


def attempt(
    email: str, password: str, address: str = "192.0.2.1", browser: Client | None = None
) -> int:
    answer = (browser or Client()).post(
        "/api/v1/users/login",
        json.dumps({"email": email, "password": password}),
        content_type="application/json",
        REMOTE_ADDR=address,
    )
    return answer.status_code


def guess(times: int, email: str = OWNER, address: str = "192.0.2.1") -> set[int]:
    return {attempt(email, "wrong", address) for _ in range(times)}


def share_the_guessing(times: int) -> None:
    """Many machines guess at the owner's password, each too seldom to be stopped by itself."""
    for number in range(times):
        attempt(OWNER, "wrong", f"198.51.100.{number % 250}")


def test_a_lock_outlives_any_number_of_other_names(cast: Cast) -> None:
    assert guess(PER_PAIR) == {WRONG}
    for number in range(500):
        attempt(f"made-up-{number}@acme.test", "wrong", f"203.0.113.{number % 250}")
    cache.clear()  # and it is in no process's memory
    assert attempt(OWNER, PASSWORD) == REFUSED


def test_one_address_locks_nobody_else_out(cast: Cast) -> None:
    guess(PER_PAIR + sign_in_limits.TRIES_PER_ACCOUNT)
    assert attempt(OWNER, PASSWORD) == REFUSED
    assert attempt(OWNER, PASSWORD, "192.0.2.2") == IN


def test_one_address_cannot_try_many_accounts(cast: Cast) -> None:
    for number in range(sign_in_limits.TRIES_PER_ADDRESS):
        assert attempt(f"someone-{number}@acme.test", "wrong") == WRONG
    assert attempt(OWNER, PASSWORD) == REFUSED


def test_the_addresses_of_one_network_are_one(cast: Cast) -> None:
    for number in range(PER_PAIR):
        assert attempt(OWNER, "wrong", f"2001:db8:1:2::{number:x}") == WRONG
    assert attempt(OWNER, PASSWORD, "2001:db8:1:2:ffff::1") == REFUSED
    assert attempt(OWNER, PASSWORD, "2001:db8:1:3::1") == IN


def test_many_addresses_together_are_stopped_but_a_known_browser_is_not(cast: Cast) -> None:
    known = Client()
    assert attempt(OWNER, PASSWORD, browser=known) == IN
    share_the_guessing(sign_in_limits.TRIES_PER_ACCOUNT)
    assert attempt(OWNER, PASSWORD, "192.0.2.9") == REFUSED
    known.cookies.pop(settings.SESSION_COOKIE_NAME)
    assert attempt(OWNER, PASSWORD, browser=known) == IN
    guess(PER_PAIR)  # not even when somebody guesses from the same address
    assert attempt(OWNER, PASSWORD, browser=known) == IN


def test_a_known_browser_has_a_limit_of_its_own(cast: Cast) -> None:
    known = Client()
    assert attempt(OWNER, PASSWORD, browser=known) == IN
    for _ in range(sign_in_limits.TRIES_PER_KNOWN_BROWSER):
        assert attempt(OWNER, "wrong", browser=known) == WRONG
    assert attempt(OWNER, PASSWORD, browser=known) == REFUSED
    assert attempt(OWNER, PASSWORD) == IN


@pytest.mark.parametrize("cookie", ["forged", "another account's"])
def test_a_browser_is_known_to_the_account_it_signed_in_to(cast: Cast, cookie: str) -> None:
    browser, name = Client(), f"{settings.SESSION_COOKIE_NAME}_browser"
    if cookie == "forged":
        browser.cookies[name] = "eyJvZiI6IngiLCJpZCI6IngifQ:1xXxXx:abc"
    else:
        assert attempt("member@acme.test", PASSWORD, browser=browser) == IN
    share_the_guessing(sign_in_limits.TRIES_PER_ACCOUNT)
    assert attempt(OWNER, PASSWORD, browser=browser) == REFUSED


def test_a_browser_is_made_known_in_a_safe_cookie(cast: Cast) -> None:
    browser = Client()
    attempt(OWNER, PASSWORD, browser=browser)
    cookie = browser.cookies[f"{settings.SESSION_COOKIE_NAME}_browser"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert OWNER not in cookie.value


def test_what_is_over_is_removed(cast: Cast) -> None:
    for number in range(60):
        attempt(f"made-up-{number}@acme.test", "wrong", f"203.0.113.{number}")
    SignInTries.objects.update(expires_at=timezone.now() - timedelta(hours=1))
    for _ in range(3):
        attempt(OWNER, "wrong")
    assert SignInTries.objects.count() == 3


def test_sessions_that_are_over_are_removed_too(cast: Cast) -> None:
    attempt(OWNER, PASSWORD)
    Session.objects.update(expire_date=timezone.now() - timedelta(hours=1))
    assert attempt(OWNER, PASSWORD) == IN
    assert Session.objects.count() == 1


def test_a_lock_ends_although_guessing_goes_on(cast: Cast) -> None:
    guess(PER_PAIR)
    before = set(SignInTries.objects.values_list("expires_at", flat=True))
    guess(5)
    assert set(SignInTries.objects.values_list("expires_at", flat=True)) == before


def test_registering_is_counted_by_address_and_by_account(cast: Cast) -> None:
    """And uses up nothing of what signing in has."""

    def register(email: str, address: str) -> int:
        body = {"name": "x", "email": email, "password": "wrong"}
        path, kind = "/api/v1/users/register", "application/json"
        return Client().post(path, json.dumps(body), kind, REMOTE_ADDR=address).status_code

    for number in range(sign_in_limits.TRIES_PER_ACCOUNT):
        assert register(OWNER, f"198.51.100.{number}") == WRONG
        assert register(f"{number}@acme.test", "192.0.2.1") == WRONG
    assert register(OWNER, "198.51.100.99") == REFUSED
    assert register("new@acme.test", "192.0.2.1") == REFUSED
    assert register("new@acme.test", "192.0.2.2") == WRONG
    assert attempt(OWNER, PASSWORD) == IN
