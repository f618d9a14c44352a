"""Which tokens are accepted, and that none slips through."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jwt
import pytest
from pytest_django import Settings

from engine.config import Config
from engine.pem import new_signing_key
from tenants.keys import signing_key
from tenants.models import APIToken
from tenants.tokens import InvalidToken, create_token, revoke_token, verify_token
from tests.cast import Cast


def _claims(token: str) -> dict[str, object]:
    claims: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return claims


def _resigned(token: str, **changes: object) -> str:
    """The same token, properly signed, with claims changed (None removes one)."""
    claims = {k: v for k, v in (_claims(token) | changes).items() if v is not None}
    return jwt.encode(claims, signing_key(), algorithm="ES256")


def test_a_token_carries_every_claim_the_sdks_read(cast: Cast, installation: Config) -> None:
    record, token = create_token(cast.tenant, "ci")
    claims = _claims(token)
    assert claims["sub"] == str(cast.tenant.id)
    assert claims["server_url"] == claims["iss"] == claims["aud"] == installation.server_url
    assert claims["grpc_broadcast_address"] == installation.grpc_broadcast_address
    assert claims["token_id"] == str(record.id)
    assert isinstance(claims["exp"], int)
    assert claims["exp"] == record.expires_at.timestamp()
    assert record.expires_at - record.created_at > timedelta(days=89, hours=23)


def test_a_token_is_three_unpadded_base64url_parts_starting_with_ey(cast: Cast) -> None:
    _, token = create_token(cast.tenant, "ci")
    assert token.startswith("ey")
    assert token.count(".") == 2
    assert "=" not in token


def test_a_fresh_token_is_accepted(cast: Cast) -> None:
    record, token = create_token(cast.tenant, "ci")
    verified = verify_token(token)
    assert (verified.tenant_id, verified.token_id) == (cast.tenant.id, record.id)
    assert verified.expires_at == record.expires_at


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"exp": 1}, id="expired"),
        pytest.param({"iat": 99999999999}, id="issued in the future"),
        pytest.param({"iss": "http://evil.test"}, id="other issuer"),
        pytest.param({"aud": "http://evil.test"}, id="other audience"),
        pytest.param({"server_url": "http://evil.test"}, id="other server"),
        pytest.param({"token_id": str(uuid4())}, id="unknown row"),
        pytest.param({"token_id": "no-uuid"}, id="malformed row id"),
        pytest.param({"token_id": 7}, id="row id of another type"),
        pytest.param({"sub": str(uuid4())}, id="tenant that is not the row's"),
        pytest.param({"sub": None}, id="no tenant"),
        pytest.param({"exp": None}, id="no expiry"),
        pytest.param({"exp": "soon"}, id="expiry of another type"),
        pytest.param({"token_id": None}, id="no row id"),
    ],
)
def test_a_properly_signed_token_with_wrong_claims_is_refused(
    cast: Cast, changes: dict[str, object]
) -> None:
    _, token = create_token(cast.tenant, "ci")
    with pytest.raises(InvalidToken):
        verify_token(_resigned(token, **changes))


def test_a_token_may_leave_out_the_server_url(cast: Cast) -> None:
    _, token = create_token(cast.tenant, "ci")
    assert verify_token(_resigned(token, server_url=None)).tenant_id == cast.tenant.id


def test_another_tenant_cannot_be_written_into_a_token(cast: Cast) -> None:
    _, token = create_token(cast.tenant, "ci")
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    claims["sub"] = str(cast.other_tenant.id)
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    with pytest.raises(InvalidToken):
        verify_token(f"{head}.{forged}.{signature}")


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "ey.ey.ey", "é.é.é", "a" * 100_000, "\x00"])
def test_text_that_is_no_token_is_refused(cast: Cast, text: str) -> None:
    with pytest.raises(InvalidToken):
        verify_token(text)


def test_other_algorithms_are_refused(cast: Cast) -> None:
    _, token = create_token(cast.tenant, "ci")
    for key, algorithm in [("", "none"), ("secret" * 8, "HS256")]:
        with pytest.raises(InvalidToken):
            verify_token(jwt.encode(_claims(token), key, algorithm=algorithm))


def test_a_token_of_another_key_is_refused(
    cast: Cast, settings: Settings, installation: Config
) -> None:
    _, token = create_token(cast.tenant, "ci")
    settings.HATCHET = replace(installation, jwt_private_key=new_signing_key())
    with pytest.raises(InvalidToken):
        verify_token(token)


def test_an_expired_row_is_refused_whatever_the_token_says(cast: Cast) -> None:
    record, token = create_token(cast.tenant, "ci")
    APIToken.objects.filter(id=record.id).update(
        expires_at=datetime.now(UTC) - timedelta(seconds=1)
    )
    with pytest.raises(InvalidToken):
        verify_token(token)


def test_a_revoked_token_is_refused_and_revoked_once_only(cast: Cast) -> None:
    record, token = create_token(cast.tenant, "ci")
    assert revoke_token(record.id) is True
    assert revoke_token(record.id) is False
    assert revoke_token(uuid4()) is False
    with pytest.raises(InvalidToken):
        verify_token(token)


def test_the_token_of_a_deleted_tenant_is_refused(cast: Cast) -> None:
    _, token = create_token(cast.tenant, "ci")
    cast.tenant.delete()
    with pytest.raises(InvalidToken):
        verify_token(token)
