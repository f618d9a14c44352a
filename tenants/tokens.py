"""API tokens: issuing, verifying and revoking them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import connection, transaction

from tenants import token_cache
from tenants.models import APIToken, Tenant
from tenants.token_claims import InvalidToken, VerifiedToken, read_token, sign_token

__all__ = [
    "DEFAULT_LIFETIME",
    "InvalidToken",
    "VerifiedToken",
    "ask_anew_about_tokens",
    "create_token",
    "revoke_token",
    "verify_token",
]

DEFAULT_LIFETIME = timedelta(days=90)


def create_token(
    tenant: Tenant,
    name: str,
    expires_in: timedelta = DEFAULT_LIFETIME,
    *,
    is_internal: bool = False,
) -> tuple[APIToken, str]:
    """Store a token's record and return it with the token itself, which is never seen again."""
    # Whole seconds: the claims hold no fractions, and record and token must expire together.
    now = datetime.now(UTC).replace(microsecond=0)
    record = APIToken.objects.create(
        tenant=tenant, name=name, expires_at=now + expires_in, is_internal=is_internal
    )
    text = sign_token(
        tenant_id=tenant.id, token_id=record.id, issued_at=now, expires_at=record.expires_at
    )
    return record, text


def verify_token(token: str) -> VerifiedToken:
    """Check everything, the row included, without any cache. Raises InvalidToken."""
    verified = read_token(token)
    token_cache.check_row(verified)
    return verified


def revoke_token(token_id: UUID) -> bool:
    """Revoke a token everywhere; False when there was none to revoke.

    This process forgets it at once, the others as soon as the notification reaches them.
    """
    with transaction.atomic():
        now = datetime.now(UTC)
        revoked = APIToken.objects.filter(id=token_id, revoked_at__isnull=True).update(
            revoked_at=now, updated_at=now
        )
        if revoked:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_notify(%s, %s)", [token_cache.REVOKED_CHANNEL, str(token_id)]
                )
            transaction.on_commit(lambda: token_cache.shared.forget(token_id))
    return revoked > 0


def ask_anew_about_tokens(tenant: Tenant) -> None:
    """Have every process look at the rows of this tenant's tokens again, when the transaction commits."""
    ids = list(APIToken.objects.filter(tenant=tenant).values_list("id", flat=True))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_notify(%s, id::text) FROM unnest(%s::uuid[]) AS id",
            [token_cache.REVOKED_CHANNEL, ids],
        )
    for one in ids:
        transaction.on_commit(partial(token_cache.shared.forget, one))
