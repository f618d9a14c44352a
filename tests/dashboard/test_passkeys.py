"""What is no passkey signs nobody in; that real ones do is seen in a browser, in `tests/e2e`."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from tenants.models import Role, Tenant, User
from tenants.sign_in import passkeys, second_factor
from tests.dashboard import factories
from tests.dashboard.device import FIELDS, Clock, Device

NEW = "/account/passkeys/new"
CREDENTIALS = {
    "nothing": "",
    "no JSON": "{",
    "a list": "[]",
    "an object": "{}",
    "a stranger": json.dumps({"id": "AA", "response": {"userHandle": "AA"}}),
    "wrong types": json.dumps({"id": 1, "rawId": [], "response": 5, "type": None}),
    "deep": "[" * 10_000,
    "long": "x" * 1_000_000,
    "nul": json.dumps({"id": "\0", "response": {"userHandle": "\0"}}),
}


@pytest.fixture
def user(tenant: Tenant) -> User:
    return factories.make_member(tenant, Role.MEMBER)


@pytest.fixture(params=CREDENTIALS)
def credential(request: pytest.FixtureRequest) -> str:
    return CREDENTIALS[request.param]


def keep(user: User, name: str = "Laptop") -> int:
    row = Authenticator.objects.create(
        user=user, type=Authenticator.Type.WEBAUTHN, data={"name": name, "credential": {}}
    )
    return int(row.id)


def test_what_is_no_passkey_signs_nobody_in(credential: str, anonymous: Client, user: User) -> None:
    assert anonymous.post("/login/passkey", {"credential": credential}).status_code == 302
    assert anonymous.get("/login/passkey/options").status_code == 200
    assert anonymous.post("/login/passkey", {"credential": credential}).status_code == 302
    assert anonymous.get("/account").status_code == 302


def test_what_is_no_passkey_is_not_kept(
    credential: str, user: User, sign_in: Callable[[User], Client]
) -> None:
    browser = sign_in(user)
    fields = FIELDS | {"name": "Laptop", "credential": credential}
    assert browser.post(NEW, fields).status_code == 422
    assert browser.get("/account/passkeys/options").status_code == 200
    assert browser.post(NEW, fields).status_code == 422
    assert passkeys.passkeys_of(user) == []


def test_each_challenge_is_another_and_of_the_configured_site(
    anonymous: Client, user: User, sign_in: Callable[[User], Client]
) -> None:
    asked = [
        json.loads(anonymous.get("/login/passkey/options", headers={"host": "127.0.0.1"}).content)
        for _ in range(2)
    ]
    first, second = (one["publicKey"] for one in asked)
    assert first["challenge"] != second["challenge"]
    assert (first["rpId"], first["userVerification"]) == ("localhost", "required")
    made = json.loads(sign_in(user).get("/account/passkeys/options").content)["publicKey"]
    assert made["user"]["name"] == user.email
    assert made["authenticatorSelection"]["userVerification"] == "required"


def test_adding_one_needs_the_password(
    user: User, sign_in: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passkeys, "add", lambda *_: keep(user))
    browser = sign_in(user)
    fields = {"name": "Laptop", "credential": "{}"}
    for wrong in ({}, {"password": "wrong"}, {"password": "x" * 5000}):
        assert browser.post(NEW, fields | wrong).status_code == 422
    assert passkeys.passkeys_of(user) == []
    assert browser.post(NEW, fields | FIELDS).status_code == 302


def test_or_a_code_where_there_is_a_second_factor(
    user: User,
    sign_in: Callable[[User], Client],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    browser = sign_in(user)
    device = Device(browser, clock)
    monkeypatch.setattr(passkeys, "add", lambda *_: keep(user))
    fields = {"name": "Laptop", "credential": "{}"}
    assert browser.post(NEW, fields | FIELDS).status_code == 422
    assert browser.post(NEW, fields | {"code": device.next_code()}).status_code == 302


def test_removing_the_second_factor_keeps_passkeys(user: User) -> None:
    keep(user)
    second_factor.remove(user)
    assert [one.name for one in passkeys.passkeys_of(user)] == ["Laptop"]


def test_nobody_removes_those_of_others(
    user: User, tenant: Tenant, sign_in: Callable[[User], Client]
) -> None:
    mine = keep(user)
    path = f"/account/passkeys/{mine}/remove"
    assert sign_in(factories.make_member(tenant, Role.OWNER)).post(path).status_code == 404
    assert sign_in(user).get(path).status_code == 405
    assert sign_in(user).post("/account/passkeys/2147483648999/remove").status_code == 404
    assert sign_in(user).post(path).status_code == 302
    assert passkeys.passkeys_of(user) == []


@pytest.mark.parametrize(
    "name", ["", " ", "x" * 101, "two\nlines"], ids=["none", "blank", "long", "lines"]
)
def test_a_name_is_a_line(name: str, user: User, sign_in: Callable[[User], Client]) -> None:
    fields = FIELDS | {"name": name, "credential": "{}"}
    assert sign_in(user).post(NEW, fields).status_code == 422


def test_the_anonymous_make_none(anonymous: Client, db: None) -> None:
    for path in (NEW, "/account/passkeys/options"):
        assert anonymous.get(path).status_code == 302
    assert anonymous.post("/account/passkeys/1/remove").status_code == 302
