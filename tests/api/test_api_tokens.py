"""Scopes, times of use and rotation of API tokens, as people see and ask for them over REST."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tenants.models import APIToken, Role, TokenScope
from tenants.tokens import create_token, rotate_token, verify_token
from tests.api.client import ApiClient
from tests.cast import Cast


@pytest.fixture
def path(cast: Cast) -> str:
    return f"/api/v1/tenants/{cast.tenant.id}/api-tokens"


@pytest.fixture
def admin(cast: Cast) -> ApiClient:
    return ApiClient(user=cast.admin)


@pytest.fixture
def record(cast: Cast) -> APIToken:
    return create_token(cast.tenant, "ci", scope=TokenScope.TRIGGER_ONLY)[0]


@pytest.mark.parametrize("scope", TokenScope)
def test_a_token_has_the_scope_that_was_asked_for(
    scope: TokenScope, admin: ApiClient, path: str
) -> None:
    answer = admin.post(path, {"name": "ci", "scope": scope.value})
    assert answer.status == 200
    assert verify_token(answer.json["token"]).scope is scope
    (row,) = admin.get(path).json["rows"]
    assert row["scope"] == scope.value


def test_a_token_is_full_unless_asked_otherwise(admin: ApiClient, path: str) -> None:
    token = admin.post(path, {"name": "ci"}).json["token"]
    assert verify_token(token).scope is TokenScope.FULL


@pytest.mark.parametrize("scope", ["", "FULL", "worker", 1, ["full"], {}, "x" * 10_000, "full\0"])
def test_a_scope_that_is_none_makes_no_token(
    scope: Any, cast: Cast, admin: ApiClient, path: str
) -> None:
    assert admin.post(path, {"name": "ci", "scope": scope}).status == 400
    assert not APIToken.objects.filter(tenant=cast.tenant).exists()


def test_the_list_tells_when_a_token_was_used(cast: Cast, admin: ApiClient, path: str) -> None:
    record, token = create_token(cast.tenant, "ci")
    (row,) = admin.get(path).json["rows"]
    assert "lastUsedAt" not in row
    assert ApiClient(token=token).get(f"/api/v1/tenants/{cast.tenant.id}").status == 200
    (row,) = admin.get(path).json["rows"]
    record.refresh_from_db()
    assert record.last_used_at is not None
    assert datetime.fromisoformat(row["lastUsedAt"]) == record.last_used_at


class TestRotation:
    def test_gives_a_token_and_tells_how_long_the_old_one_lasts(
        self, admin: ApiClient, path: str, record: APIToken
    ) -> None:
        answer = admin.post(f"/api/v1/api-tokens/{record.id}/rotate", {"overlap": "2h"})
        assert answer.status == 200
        verified = verify_token(answer.json["token"])
        assert verified.scope is TokenScope.TRIGGER_ONLY
        record.refresh_from_db()
        assert datetime.fromisoformat(answer.json["previousExpiresAt"]) == record.expires_at
        left = record.expires_at - datetime.now(UTC)
        assert timedelta(hours=1, minutes=55) < left <= timedelta(hours=2)
        rows = {row["metadata"]["id"]: row for row in admin.get(path).json["rows"]}
        assert rows[str(record.id)]["replacedBy"] == str(verified.token_id)
        assert "replacedBy" not in rows[str(verified.token_id)]

    def test_overlaps_by_a_day_unless_asked_otherwise(
        self, admin: ApiClient, record: APIToken
    ) -> None:
        answer = admin.post(f"/api/v1/api-tokens/{record.id}/rotate")
        left = datetime.fromisoformat(answer.json["previousExpiresAt"]) - datetime.now(UTC)
        assert timedelta(hours=23) < left <= timedelta(days=1)

    def test_may_end_the_old_one_at_once(self, cast: Cast, admin: ApiClient) -> None:
        record, token = create_token(cast.tenant, "ci")
        body = {"overlap": "0s", "expiresIn": "1h"}
        answer = admin.post(f"/api/v1/api-tokens/{record.id}/rotate", body)
        assert verify_token(answer.json["token"]).expires_at - datetime.now(UTC) <= timedelta(
            hours=1
        )
        assert ApiClient(token=token).get(f"/api/v1/tenants/{cast.tenant.id}").status == 403

    @pytest.mark.parametrize(
        "body",
        [
            {"overlap": "soon"},
            {"overlap": "-1h"},
            {"overlap": "31d"},
            {"overlap": "9" * 90 + "h"},
            {"overlap": 3600},
            {"overlap": ["1h"]},
            {"expiresIn": "0s"},
            {"expiresIn": "99999999h"},
            {"expiresIn": {}},
        ],
        ids=str,
    )
    def test_wrong_wishes_change_nothing(
        self, body: dict[str, Any], admin: ApiClient, record: APIToken
    ) -> None:
        before = list(APIToken.objects.values())
        assert admin.post(f"/api/v1/api-tokens/{record.id}/rotate", body).status == 400
        assert list(APIToken.objects.values()) == before

    def test_happens_once(self, admin: ApiClient, record: APIToken) -> None:
        rotate_token(record.id, overlap=timedelta(hours=1))
        answer = admin.post(f"/api/v1/api-tokens/{record.id}/rotate")
        assert (answer.status, "already" in answer.error) == (409, True)

    def test_of_internal_and_unknown_tokens_there_is_none(
        self, cast: Cast, admin: ApiClient
    ) -> None:
        internal, _ = create_token(cast.tenant, "inner", is_internal=True)
        assert admin.post(f"/api/v1/api-tokens/{internal.id}/rotate").status == 403
        assert admin.post(f"/api/v1/api-tokens/{uuid4()}/rotate").status == 404

    @pytest.mark.parametrize(
        ("role", "status"),
        [(Role.VIEWER, 401), (Role.MEMBER, 401), (Role.ADMIN, 200), (Role.OWNER, 200)],
    )
    def test_is_for_admins(self, cast: Cast, record: APIToken, role: Role, status: int) -> None:
        client = ApiClient(user=cast.by_role(role))
        assert client.post(f"/api/v1/api-tokens/{record.id}/rotate").status == status
        assert (
            ApiClient(user=cast.stranger).post(f"/api/v1/api-tokens/{record.id}/rotate").status
            == 401
        )
