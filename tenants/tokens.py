"""API tokens: issuing, verifying, rotating and revoking them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import connection, transaction

from tenants import token_cache
from tenants.limits import hold
from tenants.models import APIToken, Tenant, TokenScope
from tenants.resources import Resource
from tenants.token_claims import InvalidToken, VerifiedToken, read_token, sign_token
from tenants.token_rows import check_row

__all__ = [
    "DEFAULT_LIFETIME",
    "DEFAULT_OVERLAP",
    "LONGEST_OVERLAP",
    "CannotRotate",
    "InvalidToken",
    "VerifiedToken",
    "ask_anew_about_tokens",
    "create_token",
    "revoke_token",
    "rotate_token",
    "verify_token",
]

DEFAULT_LIFETIME = timedelta(days=90)
DEFAULT_OVERLAP = timedelta(hours=24)
LONGEST_OVERLAP = timedelta(days=30)


class CannotRotate(Exception):
    """The token is no longer in use, or was rotated before. The message is for the caller."""


def create_token(
    tenant: Tenant,
    name: str,
    expires_in: timedelta = DEFAULT_LIFETIME,
    *,
    scope: TokenScope = TokenScope.FULL,
    is_internal: bool = False,
) -> tuple[APIToken, str]:
    """Store a token's record and return it with the token itself, which is never seen again.

    LimitReached: the tenant has as many as it may have.
    """
    with transaction.atomic():
        made = _sign(tenant, name, expires_in, scope=scope, is_internal=is_internal)
        if not is_internal:
            hold(tenant.id, Resource.API_TOKEN, 1, lambda: _accepted(tenant))
    return made


def _accepted(tenant: Tenant) -> int:
    """How many there are, but for the server's own."""
    used = APIToken.objects.filter(tenant=tenant, is_internal=False, revoked_at=None)
    return used.filter(expires_at__gt=datetime.now(UTC)).count()


def _sign(
    tenant: Tenant, name: str, expires_in: timedelta, *, scope: TokenScope, is_internal: bool
) -> tuple[APIToken, str]:
    # Whole seconds: the claims hold no fractions, and record and token must expire together.
    now = datetime.now(UTC).replace(microsecond=0)
    record = APIToken.objects.create(
        tenant=tenant,
        name=name,
        scope=scope,
        expires_at=now + expires_in,
        is_internal=is_internal,
    )
    text = sign_token(
        tenant_id=tenant.id, token_id=record.id, issued_at=now, expires_at=record.expires_at
    )
    return record, text


def verify_token(token: str) -> VerifiedToken:
    """Check everything, the row included, without any cache. Raises InvalidToken."""
    return check_row(read_token(token)).token


def rotate_token(
    token_id: UUID, *, overlap: timedelta, expires_in: timedelta | None = None
) -> tuple[APIToken, str]:
    """Make a token in place of another, which is accepted as long as the overlap says.

    Name and scope stay, and unless told otherwise it lives as long as the other was meant to.
    """
    with transaction.atomic():
        old = APIToken.objects.select_for_update(of=("self",)).select_related("tenant")
        replaced = old.filter(id=token_id, is_internal=False).first()
        now = datetime.now(UTC)
        if replaced is None or replaced.revoked_at is not None or replaced.expires_at <= now:
            raise CannotRotate("this token is revoked or expired: make a new one")
        if replaced.replaced_by_id is not None:
            raise CannotRotate("this token was rotated already")
        lifetime = replaced.expires_at - replaced.created_at.replace(microsecond=0)
        made, text = _sign(
            replaced.tenant,
            replaced.name,
            lifetime if expires_in is None else expires_in,
            scope=TokenScope(replaced.scope),
            is_internal=False,
        )
        replaced.replaced_by = made
        replaced.expires_at = min(replaced.expires_at, now + overlap)
        replaced.save(update_fields=["replaced_by", "expires_at", "updated_at"])
        _ask_anew([token_id])
    return made, text


def revoke_token(token_id: UUID) -> bool:
    """Revoke a token everywhere; False when there was none to revoke."""
    with transaction.atomic():
        now = datetime.now(UTC)
        revoked = APIToken.objects.filter(id=token_id, revoked_at__isnull=True).update(
            revoked_at=now, updated_at=now
        )
        if revoked:
            _ask_anew([token_id])
    return revoked > 0


def ask_anew_about_tokens(tenant: Tenant) -> None:
    """Have every process look at the rows of this tenant's tokens again, when the transaction commits."""
    _ask_anew(list(APIToken.objects.filter(tenant=tenant).values_list("id", flat=True)))


def _ask_anew(token_ids: Sequence[UUID]) -> None:
    """This process looks at once, the others as soon as the notification reaches them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_notify(%s, id::text) FROM unnest(%s::uuid[]) AS id",
            [token_cache.REVOKED_CHANNEL, list(token_ids)],
        )
    for one in token_ids:
        transaction.on_commit(partial(token_cache.shared.forget, one))
