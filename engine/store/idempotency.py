"""Statements of engine/sql/idempotency.sql."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.store.query import Query, the_value


class KeyClaim(NamedTuple):
    """A key wanted for a run; `digest` is the SHA-256 of its text."""

    tenant_id: UUID
    digest: bytes
    run_id: UUID
    ttl_ms: int
    ends_with_run: bool


class KeyHolder(NamedTuple):
    tenant_id: UUID
    digest: bytes
    run_id: UUID


def claim(claims: Sequence[KeyClaim], now: datetime) -> Query[KeyHolder]:
    """Every (tenant, digest) may occur once."""
    return Query(
        "idempotency.claim",
        {
            "tenant_ids": [c.tenant_id for c in claims],
            "digests": [c.digest for c in claims],
            "run_ids": [c.run_id for c in claims],
            "ttls_ms": [c.ttl_ms for c in claims],
            "ends_with_runs": [c.ends_with_run for c in claims],
            "now": now,
        },
        lambda tenant_id, digest, run_id: KeyHolder(tenant_id, bytes(digest), run_id),
    )


def delete_expired(now: datetime) -> Query[UUID]:
    return Query("idempotency.delete_expired", {"now": now}, the_value)
