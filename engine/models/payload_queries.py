"""The heads of payloads, for pages."""

from __future__ import annotations

from uuid import UUID

from engine.models import wide_columns
from engine.models.runs import Payload
from engine.states import PayloadKind


def payload_head(
    owner_id: UUID, kind: PayloadKind, size: int, attempt: int | None = None
) -> tuple[bytes | None, int | None]:
    """Return the head of an owner's newest payload of a kind as it is stored, and its whole length.

    Or of that `attempt`'s, if one is given.
    """
    rows = Payload.objects.filter(owner_id=owner_id, kind=kind).order_by("-attempt")
    if attempt is not None:
        rows = rows.filter(attempt=attempt)
    found = rows.values_list(wide_columns.payload_head(size), wide_columns.payload_length()).first()
    return (None, None) if found is None else (bytes(found[0]), found[1])
