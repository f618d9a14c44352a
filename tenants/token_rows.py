"""What a token's row says: whether it is accepted, what it may do, and when it was used last."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import DatabaseError, connection

from tenants.models import APIToken, TokenScope
from tenants.token_claims import InvalidToken, TokenClaims, VerifiedToken

log = logging.getLogger(__name__)

_USE_IS_NEWS_AFTER = timedelta(minutes=1)
# Whoever else is writing it writes nearly the same: nobody waits for them.
_NOTE_USE = """
UPDATE tenants_apitoken SET last_used_at = %(now)s WHERE id = (
    SELECT id FROM tenants_apitoken
    WHERE id = %(id)s AND (last_used_at IS NULL OR last_used_at <= %(stale)s)
    FOR NO KEY UPDATE SKIP LOCKED
)
"""


@dataclass(frozen=True, slots=True)
class CheckedRow:
    token: VerifiedToken
    last_used_at: datetime | None


def check_row(claims: TokenClaims) -> CheckedRow:
    """Refuse a token whose row is unknown, revoked or expired, or of another or an archived tenant."""
    row = (
        APIToken.objects.filter(
            id=claims.token_id,
            tenant_id=claims.tenant_id,
            revoked_at__isnull=True,
            expires_at__gt=datetime.now(UTC),
            tenant__archived_at__isnull=True,
        )
        .values_list("scope", "expires_at", "last_used_at")
        .first()
    )
    if row is None:
        raise InvalidToken("the token is unknown, revoked or expired")
    scope, expires_at, last_used_at = row
    token = VerifiedToken(
        tenant_id=claims.tenant_id,
        token_id=claims.token_id,
        expires_at=min(claims.expires_at, expires_at),
        scope=TokenScope(scope),
    )
    return CheckedRow(token, last_used_at)


def note_use(row: CheckedRow) -> None:
    """Write down that the token is in use, once a minute at most, whichever process it is used in."""
    now = datetime.now(UTC)
    stale = now - _USE_IS_NEWS_AFTER
    if row.last_used_at is not None and row.last_used_at > stale:
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute(_NOTE_USE, {"id": row.token.token_id, "now": now, "stale": stale})
    except DatabaseError:
        log.warning("the use of token %s could not be noted", row.token.token_id, exc_info=True)
