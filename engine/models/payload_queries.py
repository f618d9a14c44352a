"""Payload bytes, fetched for many owners in one query."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db.models import BinaryField, F, Func, IntegerField, Value

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


def payload_head(owner_id: UUID, kind: PayloadKind, size: int) -> tuple[bytes | None, int | None]:
    """Return the first `size` bytes of an owner's newest payload of a kind, and its whole length."""
    head: Func = Func(
        F("data"), Value(1), Value(size), function="substring", output_field=BinaryField()
    )
    length: Func = Func(F("data"), function="octet_length", output_field=IntegerField())
    rows = Payload.objects.filter(owner_id=owner_id, kind=kind).order_by("-attempt")
    found = rows.values_list(head, length).first()
    return (None, None) if found is None else (bytes(found[0]), found[1])
