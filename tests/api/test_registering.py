"""Making an account and changing its password over REST."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from pytest_django import Settings

from tenants import sign_in_limits
from tenants.buckets import Buckets
from tenants.models import Member, Role, User
from tenants.rest import views
from tests.api.client import Answer, ApiClient
from tests.api.load import failures_of
from tests.cast import PASSWORD, Cast
from tests.tenants.people import allow, invite, secret_in

REGISTER, PASSWORDS = "/api/v1/users/register", "/api/v1/users/password"
NEW = "new@acme.test"
BETTER = "Better-horse-8"


def register(client: ApiClient | None = None, **given: Any) -> Answer:
    body = {"name": "New", "email": NEW, "password": PASSWORD} | given
    return (client or ApiClient()).post(REGISTER, body)


def test_it_is_switched_off_and_says_so_to_everybody_alike(cast: Cast) -> None:
    for email in (NEW, cast.owner.email):
        answer = register(email=email)
        assert (answer.status, "switched off" in answer.error) == (400, True)


def test_a_new_person_is_signed_in(cast: Cast, settings: Settings) -> None:
    allow(settings, allow_signup=True, set_email_verified=True)
    client = ApiClient()
    answer = register(client, email=" New@Acme.Test")
    assert (answer.status, answer.json["email"], answer.json["emailVerified"]) == (200, NEW, True)
    assert answer.cookies["hatchet"]["httponly"]
    assert failures_of([["user", "User", answer.json]]) == {}
    assert client.get("/api/v1/users/current").json["email"] == NEW
    assert client.get("/api/v1/users/memberships").json["rows"] == []


def test_an_address_that_is_not_confirmed_opens_nothing(cast: Cast, settings: Settings) -> None:
    allow(settings, allow_signup=True)
    client = ApiClient()
    assert register(client).json["emailVerified"] is False
    assert client.get("/api/v1/users/current").status == 200
    assert client.get("/api/v1/users/invites").status == 401
    assert client.post("/api/v1/tenants", {"name": "Mine", "slug": "mine"}).status == 401


def test_with_an_invite_it_works_where_it_is_switched_off(cast: Cast) -> None:
    invite(cast.admin, cast.tenant, role=Role.VIEWER)
    client = ApiClient()
    assert register(client, invite=secret_in(str(mail.outbox[0].body))).status == 200
    (row,) = client.get("/api/v1/users/memberships").json["rows"]
    assert (row["role"], row["tenant"]["slug"]) == ("VIEWER", "acme")


def test_a_foreign_page_registers_nobody(cast: Cast, settings: Settings) -> None:
    allow(settings, allow_signup=True)
    body = {"name": "New", "email": NEW, "password": PASSWORD}
    assert ApiClient().post(REGISTER, body, Origin="https://evil.example").status == 403
    assert not User.objects.filter(email=NEW).exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"email": None},
        {"email": 7},
        {"email": "nobody"},
        {"email": "a\x00@acme.test"},
        {"name": None},
        {"name": "a\x00b"},
        {"name": "x" * 201},
        {"name": "x" * 3_000_000},
        {"password": None},
        {"password": "short"},
        {"password": "12345678"},
        {"password": "x" * 2_000},
        {"password": ["a"]},
        {"invite": 7},
        {"invite": "made-up"},
        {"invite": "x" * 300},
    ],
    ids=lambda wrong: str(wrong)[:30].replace("\x00", "NUL"),
)
def test_what_is_wrong_is_refused_before_anything_is_stored(
    cast: Cast, settings: Settings, wrong: dict[str, Any]
) -> None:
    allow(settings, allow_signup=True)
    before = User.objects.count()
    answer = register(**wrong)
    assert (answer.status, bool(answer.error)) == (400, True)
    assert User.objects.count() == before


def test_one_address_registers_only_so_often(cast: Cast, settings: Settings) -> None:
    for number in range(sign_in_limits.TRIES_PER_ADDRESS):
        assert register(email=f"{number}@acme.test").status == 400
    allow(settings, allow_signup=True)
    assert register().status == 429
    # and signing in has reserves of its own
    body = {"email": cast.owner.email, "password": PASSWORD}
    assert ApiClient().post("/api/v1/users/login", body).status == 200


@pytest.mark.parametrize("path", ["login", "register", "password", "logout"])
def test_ten_a_second_are_enough(cast: Cast, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "asked", Buckets(10.0, 10.0, lambda: 0.0))
    client = ApiClient()
    statuses = [client.post(f"/api/v1/users/{path}", {}).status for _ in range(12)]
    assert 429 not in statuses[:10]
    assert statuses[10:] == [429, 429]


class TestPasswords:
    def test_it_is_changed_and_other_sessions_end(self, cast: Cast) -> None:
        here, elsewhere = ApiClient(), ApiClient()
        for client in (here, elsewhere):
            client.post("/api/v1/users/login", {"email": cast.owner.email, "password": PASSWORD})
        answer = here.post(PASSWORDS, {"password": PASSWORD, "newPassword": BETTER})
        assert (answer.status, answer.json["email"]) == (200, cast.owner.email)
        assert failures_of([["user", "User", answer.json]]) == {}
        assert here.get("/api/v1/users/current").status == 200
        assert elsewhere.get("/api/v1/users/current").status == 403
        for password, status in ((PASSWORD, 400), (BETTER, 200)):
            body = {"email": cast.owner.email, "password": password}
            assert ApiClient().post("/api/v1/users/login", body).status == status

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("wrong", BETTER),
            (PASSWORD, "short"),
            (PASSWORD, "x" * 2_000),
            (PASSWORD, None),
            (7, BETTER),
        ],
        ids=["old", "short", "long", "none", "number"],
    )
    def test_what_is_wrong_changes_nothing(self, cast: Cast, old: Any, new: Any) -> None:
        client = ApiClient(user=cast.owner)
        assert client.post(PASSWORDS, {"password": old, "newPassword": new}).status == 400
        cast.owner.refresh_from_db()
        assert cast.owner.check_password(PASSWORD)

    def test_the_old_one_cannot_be_guessed(self, cast: Cast) -> None:
        client, body = ApiClient(user=cast.owner), {"password": "wrong", "newPassword": BETTER}
        for _ in range(sign_in_limits.TRIES_PER_ADDRESS_AND_ACCOUNT):
            assert client.post(PASSWORDS, body).status == 400
        assert client.post(PASSWORDS, body | {"password": PASSWORD}).status == 429

    def test_it_can_be_switched_off(self, cast: Cast, settings: Settings) -> None:
        allow(settings, allow_change_password=False)
        body = {"password": PASSWORD, "newPassword": BETTER}
        answer = ApiClient(user=cast.owner).post(PASSWORDS, body)
        assert (answer.status, "switched off" in answer.error) == (400, True)

    def test_a_token_has_none(self, cast: Cast, api: ApiClient) -> None:
        body = {"password": PASSWORD, "newPassword": BETTER}
        assert api.post(PASSWORDS, body).status == 403


def test_meta_says_what_is_allowed(cast: Cast, settings: Settings) -> None:
    meta = ApiClient().get("/api/v1/meta").json
    names = ("allowSignup", "allowInvites", "allowCreateTenant", "allowChangePassword")
    assert [meta[name] for name in names] == [False, True, True, True]
    allow(
        settings,
        allow_signup=True,
        allow_invites=False,
        allow_create_tenant=False,
        allow_change_password=False,
    )
    meta = ApiClient().get("/api/v1/meta").json
    assert [meta[name] for name in names] == [True, False, False, False]


def test_a_member_is_only_made_by_the_invite(cast: Cast) -> None:
    """What else stands in the body of a registration gives no rights."""
    invite(cast.admin, cast.tenant, role=Role.VIEWER)
    link = secret_in(str(mail.outbox[0].body))
    register(invite=link, role="OWNER", isActive=False, tenantId=str(cast.other_tenant.id))
    (member,) = Member.objects.filter(user__email=NEW)
    assert (member.role, member.tenant_id) == (Role.VIEWER, cast.tenant.id)
