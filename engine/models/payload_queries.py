"""Payload bytes, fetched for many owners in one query."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db.models import F, Q

from engine.models.runs import Payload
from engine.models.wide_columns import Wide, head_of, octet_length, wide_values
from engine.states import PayloadKind

PayloadKey = tuple[UUID, int, int]


def payload_data(
    owner_ids: Collection[UUID],
    kinds: Collection[PayloadKind],
    *,
    room: int,
    first_owners: Collection[UUID] = (),
) -> dict[PayloadKey, Wide]:
    """Return payloads by (owner, kind, attempt), the smallest up to `room` bytes with their data.

    Inputs and outputs of `first_owners` come before all others.
    """
    if not owner_ids or not kinds:
        return {}
    rows = Payload.objects.filter(owner_id__in=owner_ids, kind__in=kinds)
    found = wide_values(
        rows,
        ["data"],
        room=room,
        key=("owner_id", "kind", "attempt"),
        first=Q(owner_id__in=first_owners, kind__lte=PayloadKind.OUTPUT) if first_owners else None,
    )
    return {key: values["data"] for key, values in found.items()}


def payload_head(owner_id: UUID, kind: PayloadKind, size: int) -> tuple[bytes | None, int | None]:
    """Return the first `size` bytes of an owner's newest payload of a kind, and its whole length."""
    rows = Payload.objects.filter(owner_id=owner_id, kind=kind).order_by("-attempt")
    found = rows.values_list(head_of("data", size), octet_length(F("data"))).first()
    return (None, None) if found is None else (bytes(found[0]), found[1])
