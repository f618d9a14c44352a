"""The heads of payloads, for pages."""

from __future__ import annotations

from uuid import UUID

from django.db.models import F

from engine.models.runs import Payload
from engine.models.wide_columns import head_of, octet_length
from engine.states import PayloadKind


def payload_head(owner_id: UUID, kind: PayloadKind, size: int) -> tuple[bytes | None, int | None]:
    """Return the first `size` bytes of an owner's newest payload of a kind, and its whole length."""
    rows = Payload.objects.filter(owner_id=owner_id, kind=kind).order_by("-attempt")
    found = rows.values_list(head_of("data", size), octet_length(F("data"))).first()
    return (None, None) if found is None else (bytes(found[0]), found[1])
