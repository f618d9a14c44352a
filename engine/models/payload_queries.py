"""Payload bytes, fetched for many owners in one query."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from engine.models.runs import Payload
from engine.states import PayloadKind

PayloadKey = tuple[UUID, int, int]


def payload_data(
    owner_ids: Collection[UUID], kinds: Collection[PayloadKind]
) -> dict[PayloadKey, bytes]:
    """Return bytes by (owner, kind, attempt)."""
    if not owner_ids or not kinds:
        return {}
    rows = Payload.objects.filter(owner_id__in=owner_ids, kind__in=kinds)
    return {
        (owner_id, kind, attempt): bytes(data)
        for owner_id, kind, attempt, data in rows.values_list("owner_id", "kind", "attempt", "data")
    }
