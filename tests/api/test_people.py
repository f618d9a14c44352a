"""Signing in and out, memberships, members, and API tokens."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from engine.config import Config
from tenants import sign_in_limits
from tenants.models import APIToken, Role, User
from tenants.tokens import create_token, verify_token
from tests.api.client import Answer, ApiClient
from tests.cast import PASSWORD, Cast


class TestSigningIn:
    def test_the_right_password_opens_a_session(self, cast: Cast) -> None:
        client = ApiClient()
        body = {"email": "Owner@acme.test ", "password": PASSWORD}
        answer = client.post("/api/v1/users/login", body)
        assert (answer.status, answer.json["email"]) == (200, "owner@acme.test")
        cookie = answer.cookies["hatchet"]
        assert cookie["httponly"]
        assert (cookie["samesite"], cookie["path"]) == ("Lax", "/")
        assert cookie["max-age"] == 30 * 24 * 3600
        assert client.get("/api/v1/users/current").json["email"] == "owner@acme.test"
        assert client.post("/api/v1/users/logout").status == 200
        assert client.get("/api/v1/users/current").status == 403

    @pytest.mark.parametrize(
        ("email", "password"),
        [
            ("owner@acme.test", "wrong"),
            ("nobody@acme.test", PASSWORD),
            ("", PASSWORD),
            ("owner@acme.test", ""),
        ],
    )
    def test_anything_else_is_400(self, cast: Cast, email: str, password: str) -> None:
        body = {"email": email, "password": password}
        assert ApiClient().post("/api/v1/users/login", body).status == 400

    def test_a_disabled_user_stays_outside(self, cast: Cast) -> None:
        client = ApiClient(user=cast.owner)
        User.objects.filter(id=cast.owner.id).update(is_active=False)
        assert client.get("/api/v1/users/current").status == 403
        body = {"email": "owner@acme.test", "password": PASSWORD}
        assert ApiClient().post("/api/v1/users/login", body).status == 400

    def test_a_form_from_elsewhere_signs_nobody_in(self, cast: Cast) -> None:
        body = f"email=owner@acme.test&password={PASSWORD}".encode()
        answer = ApiClient().send(
            "POST", "/api/v1/users/login", body, "application/x-www-form-urlencoded"
        )
        assert answer.status == 415

    def test_guessing_is_stopped_even_if_the_next_guess_is_right(self, cast: Cast) -> None:
        client, path = ApiClient(), "/api/v1/users/login"
        guess = {"email": "owner@acme.test", "password": "wrong"}
        for _ in range(sign_in_limits.TRIES_PER_ADDRESS_AND_ACCOUNT):
            assert client.post(path, guess).status == 400
        assert client.post(path, guess | {"password": PASSWORD}).status == 429
        other = {"email": "member@acme.test", "password": PASSWORD}
        assert client.post(path, other).status == 200


class TestMembers:
    def test_everybody_sees_their_own_memberships(self, cast: Cast) -> None:
        (row,) = ApiClient(user=cast.viewer).get("/api/v1/users/memberships").json["rows"]
        assert (row["role"], row["tenant"]["slug"]) == ("VIEWER", "acme")

    def test_an_admin_sees_all_members(self, cast: Cast) -> None:
        rows = ApiClient(user=cast.admin).get(f"/api/v1/tenants/{cast.tenant.id}/members").json
        assert {row["role"] for row in rows["rows"]} == set(Role.values)


class TestApiTokens:
    @pytest.fixture
    def path(self, cast: Cast) -> str:
        return f"/api/v1/tenants/{cast.tenant.id}/api-tokens"

    def test_a_created_token_works_and_is_shown_once(self, cast: Cast, path: str) -> None:
        admin = ApiClient(user=cast.admin)
        token = admin.post(path, {"name": "ci", "expiresIn": "72h"}).json["token"]
        verified = verify_token(token)
        assert verified.tenant_id == cast.tenant.id
        lifetime = verified.expires_at - datetime.now(UTC)
        assert timedelta(hours=71, minutes=59) < lifetime <= timedelta(hours=72)
        listing = admin.get(path)
        assert [row["name"] for row in listing.json["rows"]] == ["ci"]
        assert token.encode() not in listing.content

    def test_the_default_lifetime_is_90_days(self, cast: Cast, path: str) -> None:
        token = ApiClient(user=cast.owner).post(path, {"name": "ci"}).json["token"]
        assert (verify_token(token).expires_at - datetime.now(UTC)).days in (89, 90)

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"name": ""},
            {"name": "x" * 300},
            {"name": "x", "expiresIn": "soon"},
            {"name": "x", "expiresIn": "0s"},
            {"name": "x", "expiresIn": "-5m"},
            {"name": "x", "expiresIn": "99999999h"},
        ],
    )
    def test_wrong_wishes_are_refused(self, cast: Cast, path: str, body: dict[str, object]) -> None:
        assert ApiClient(user=cast.owner).post(path, body).status == 400
        assert not APIToken.objects.filter(tenant=cast.tenant).exists()

    def test_revoked_internal_and_expired_tokens_are_not_listed(
        self, cast: Cast, path: str
    ) -> None:
        create_token(cast.tenant, "old", timedelta(seconds=-1))
        create_token(cast.tenant, "inner", is_internal=True)
        create_token(cast.other_tenant, "theirs")
        assert ApiClient(user=cast.owner).get(path).json["rows"] == []

    def test_revoking_ends_it_at_once(
        self,
        cast: Cast,
        path: str,
        django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    ) -> None:
        record, token = create_token(cast.tenant, "ci")
        owner, worker = ApiClient(user=cast.owner), ApiClient(token=token)
        assert worker.get(f"/api/v1/tenants/{cast.tenant.id}").status == 200
        with django_capture_on_commit_callbacks(execute=True):
            answer = owner.post(f"/api/v1/api-tokens/{record.id}")
        assert (answer.status, answer.content) == (204, b"")
        assert worker.get(f"/api/v1/tenants/{cast.tenant.id}").status == 403
        assert owner.get(path).json["rows"] == []

    def test_an_internal_token_cannot_be_revoked(self, cast: Cast) -> None:
        record, _ = create_token(cast.tenant, "inner", is_internal=True)
        answer = ApiClient(user=cast.owner).post(f"/api/v1/api-tokens/{record.id}")
        assert answer.status == 403

    def test_tokens_cannot_manage_tokens(self, cast: Cast, api: ApiClient, path: str) -> None:
        record, _ = create_token(cast.tenant, "ci")
        assert api.get(path).status == 401
        assert api.post(path, {"name": "x"}).status == 401
        assert api.post(f"/api/v1/api-tokens/{record.id}").status == 401
        assert api.post(f"/api/v1/api-tokens/{record.id}/rotate").status == 401


class TestOrigins:
    PREFLIGHT = "/api/v1/users/current"

    def preflight(self, origin: str) -> Answer:
        wanted = {"Access-Control-Request-Headers": "authorization,x-y"}
        return ApiClient().send("OPTIONS", self.PREFLIGHT, b"", Origin=origin, **wanted)

    def test_any_origin_is_welcome_by_default(self) -> None:
        answer = ApiClient().get("/api/v1/meta", Origin="https://app.test")
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        preflight = self.preflight("https://app.test")
        assert preflight.status == 200
        assert "PATCH" in preflight.headers["Access-Control-Allow-Methods"]
        assert preflight.headers["Access-Control-Allow-Headers"] == "authorization,x-y"

    @pytest.mark.parametrize(
        ("origin", "is_allowed"),
        [
            ("https://app.example.com", True),
            ("https://APP.example.com", True),
            ("https://a.b.example.com", True),
            ("http://localhost:3000", True),
            ("http://app.example.com", False),
            ("https://example.com", False),
            ("https://app.example.com:8443", False),
            ("https://app.example.com.evil.test", False),
            ("https://evil.test/.example.com", False),
            ("http://localhost", False),
            ("null", False),
        ],
    )
    def test_only_the_configured_ones_are_then(
        self, origin: str, is_allowed: bool, installation: Config, settings: Settings
    ) -> None:
        allowed = ("https://*.example.com", "http://localhost:*")
        settings.HATCHET = replace(installation, allowed_origins=allowed)
        preflight, answer = self.preflight(origin), ApiClient().get("/api/v1/meta", Origin=origin)
        assert (preflight.status, answer.status) == (200 if is_allowed else 403, 200)
        for one in (preflight, answer):
            expected = origin if is_allowed else None
            assert one.headers.get("Access-Control-Allow-Origin") == expected
            assert "Origin" in one.headers["Vary"]
        assert "Access-Control-Allow-Credentials" not in preflight.headers

    @pytest.mark.parametrize(
        "page",
        [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "https://testserver"},
            {"Origin": "http://testserver:81"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ],
        ids=str,
    )
    def test_another_origins_page_cannot_use_a_session(
        self, page: dict[str, str], cast: Cast, installation: Config, settings: Settings
    ) -> None:
        settings.HATCHET = replace(installation, allowed_origins=("*",))
        owner = ApiClient(user=cast.owner)
        record, _ = create_token(cast.tenant, "ci")
        for path, body in (
            (f"/api/v1/api-tokens/{record.id}", None),
            (f"/api/v1/tenants/{cast.tenant.id}/api-tokens", {"name": "x"}),
            ("/api/v1/users/login", {"email": cast.owner.email, "password": PASSWORD}),
            ("/api/v1/users/logout", None),
        ):
            answer = owner.post(path, body, **page)
            assert (answer.status, "another origin" in answer.error) == (403, True)
        assert owner.get("/api/v1/users/current").status == 200
        assert not APIToken.objects.filter(revoked_at__isnull=False).exists()

    @pytest.mark.parametrize(
        "page",
        [
            {},
            {"Origin": "http://testserver"},
            {"Origin": "http://hatchet.test:8080"},
            {"Sec-Fetch-Site": "same-origin"},
            {"Sec-Fetch-Site": "none"},
        ],
        ids=str,
    )
    def test_our_own_pages_and_programs_can(self, page: dict[str, str], cast: Cast) -> None:
        assert ApiClient(user=cast.owner).post("/api/v1/users/logout", **page).status == 200

    def test_a_token_works_on_every_page(self, cast: Cast, api: ApiClient) -> None:
        answer = api.post("/api/v1/users/logout", Origin="https://app.test")
        assert "another origin" not in answer.error
        path = f"/api/v1/stable/tenants/{cast.tenant.id}/cel/debug"
        assert (
            api.post(path, {"expression": "true", "input": {}}, Origin="https://app.test").status
            == 200
        )


class TestUnconfirmedAddresses:
    def test_they_keep_a_user_out_of_every_tenant(self, cast: Cast) -> None:
        User.objects.filter(id=cast.owner.id).update(is_email_verified=False)
        owner = ApiClient(user=cast.owner)
        for path in (f"/api/v1/tenants/{cast.tenant.id}", "/api/v1/users/memberships"):
            answer = owner.get(path)
            assert (answer.status, "confirm" in answer.error) == (401, True)
        assert owner.get("/api/v1/users/current").status == 200
        assert owner.post("/api/v1/users/logout").status == 200
