"""What an API token says: signing it and checking signature and claims, without the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import jwt

from tenants.installation import installation
from tenants.keys import signing_key
from tenants.models import TokenScope

ALGORITHM = "ES256"
REQUIRED_CLAIMS = ["sub", "iss", "aud", "iat", "exp", "token_id"]


class InvalidToken(Exception):
    """The token must not be accepted. The message is for logs, not for the caller."""


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a properly signed token says of itself."""

    tenant_id: UUID
    token_id: UUID
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class VerifiedToken(TokenClaims):
    """A token whose row was looked at: `expires_at` is the row's if that is sooner."""

    scope: TokenScope


def sign_token(
    *, tenant_id: UUID, token_id: UUID, issued_at: datetime, expires_at: datetime
) -> str:
    """Return a JWT with every claim the SDKs read; its parts are unpadded base64url."""
    here = installation()
    claims = {
        "sub": str(tenant_id),
        "iss": here.server_url,
        "aud": here.server_url,
        "iat": int(issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
        "server_url": here.server_url,
        "grpc_broadcast_address": here.grpc_broadcast_address,
        "token_id": str(token_id),
    }
    return jwt.encode(claims, signing_key(), algorithm=ALGORITHM)


def read_token(token: str) -> TokenClaims:
    """Check signature and claims. Whether the token was revoked is known to its row only."""
    here = installation()
    try:
        claims = jwt.decode(
            token,
            signing_key().public_key(),
            algorithms=[ALGORITHM],
            audience=here.server_url,
            issuer=here.server_url,
            options={"require": REQUIRED_CLAIMS},
        )
        if claims.get("server_url", here.server_url) != here.server_url:
            raise InvalidToken("the token belongs to another server")
        return TokenClaims(
            tenant_id=UUID(claims["sub"]),
            token_id=UUID(claims["token_id"]),
            expires_at=datetime.fromtimestamp(claims["exp"], tz=UTC),
        )
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise InvalidToken(str(error)) from error
